"""What goes to the terminal (membrane's own lines) and what to a run's log file (everything)."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LIBRARIES = ("lightning", "lightning.pytorch", "lightning.fabric", "wandb", "matplotlib", "optuna")


class Terminal(logging.Handler):
    """Prints membrane's own lines, as they are, to what is standard output at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        print(self.format(record), file=sys.stdout, flush=True)


class LogFile(logging.FileHandler):
    """A run's log file; that it cannot be written, as on a full disk, is said once and ends nothing."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say so."""
        if not self.told:
            self.told = True
            print(f"membrane: {self.baseFilename} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)


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
    handler = LogFile(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with quiet():
            yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        with suppress(OSError):  # what did not fit was told
            handler.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, libraries that print by themselves hand what they log to the root logger, as others do."""
    libraries = [logging.getLogger(name) for name in LIBRARIES]
    before = [(library, library.propagate, list(library.handlers)) for library in libraries]
    for library in libraries:
        library.propagate = True
        library.handlers.clear()
    try:
        yield
    finally:
        for library, propagate, handlers in before:
            library.propagate = propagate
            library.handlers[:] = handlers
