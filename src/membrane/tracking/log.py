"""What goes to the terminal (membrane's own lines) and what to a run's log file (everything)."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = ("lightning", "lightning.pytorch", "lightning.fabric", "wandb", "matplotlib")


class Terminal(logging.Handler):
    """Prints membrane's own lines, as they are, to what is standard output at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        print(self.format(record), file=sys.stdout, flush=True)


@contextmanager
def terminal() -> Iterator[None]:
    """Inside, membrane's lines go to the terminal and nothing of a library does."""
    ours, root = logging.getLogger("membrane"), logging.getLogger()
    handler, silence = Terminal(logging.INFO), logging.NullHandler()
    level = ours.level
    ours.addHandler(handler)
    root.addHandler(silence)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        ours.removeHandler(handler)
        root.removeHandler(silence)


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Inside, everything that is logged, by libraries and as warnings too, is added to the file ``path``."""
    root = logging.getLogger()
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    quietened = [(logging.getLogger(name), list(logging.getLogger(name).handlers)) for name in LIBRARIES]
    propagating = [(library, library.propagate) for library, _ in quietened]
    for library, handlers in quietened:
        library.propagate = True
        for each in handlers:
            library.removeHandler(each)
    try:
        yield
    finally:
        for library, handlers in quietened:
            library.handlers[:] = handlers
        for library, propagate in propagating:
            library.propagate = propagate
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
