"""Faster imports of what training needs, which are most of the time until its first step."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

SCIPY_SIGNAL = "scipy.signal"


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import Lightning and its dependencies inside the block in two thirds of the time.

    The garbage collector rests meanwhile and leaves what was imported alone for good (``gc.freeze``), which spares a
    walk through a million objects at every full collection and at the end of the process. torchmetrics 1.9 imports
    scipy.signal, half of scipy, only to restore an old name (``hamming``): inside the block an empty module with that
    name stands in for it.
    """
    collecting, there, imported = gc.isenabled(), SCIPY_SIGNAL in sys.modules, len(sys.modules)
    gc.disable()
    if not there:
        sys.modules[SCIPY_SIGNAL] = ModuleType(SCIPY_SIGNAL)
        sys.modules[SCIPY_SIGNAL].hamming = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if not there:
            del sys.modules[SCIPY_SIGNAL]
        if len(sys.modules) > imported:
            gc.freeze()
        if collecting:
            gc.enable()
