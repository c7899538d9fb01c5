"""Importing what training needs, which is most of the time until the first step."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

SIGNAL = "scipy.signal"


@contextmanager
def quick_imports() -> Iterator[None]:
    """Inside, Lightning and all that comes with it take two thirds of the time to be imported.

    What is imported is no garbage: none is looked for now, nor ever again in it (``gc.freeze``), which spares a walk
    through a million objects at every full collection and at the end of the process. torchmetrics imports
    scipy.signal, half of scipy, only to give an old name back (``hamming``): it gets an empty module that has the
    name, which is gone afterwards.
    """
    collecting, there, known = gc.isenabled(), SIGNAL in sys.modules, len(sys.modules)
    gc.disable()
    if not there:
        sys.modules[SIGNAL] = ModuleType(SIGNAL)
        sys.modules[SIGNAL].hamming = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if not there:
            del sys.modules[SIGNAL]
        if len(sys.modules) > known:
            gc.freeze()
        if collecting:
            gc.enable()
