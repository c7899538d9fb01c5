"""Logging: membrane's own lines to the terminal, what tells of the run to its log file."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import TextIO

from membrane.errors import printable_text
from membrane.files.regular import open_regular
from membrane.schema.environment import NOTHING, FromEnvironment
from membrane.tracking.output import surviving_outputs

LIBRARIES = {"lightning", "lightning_fabric", "wandb", "matplotlib", "optuna", "torch", "fsspec", "PIL", "urllib3"}
"""Libraries whose notices, below a warning, say nothing of a run."""
PRINTING_LIBRARIES = ("lightning", "lightning.pytorch", "lightning.fabric", "wandb", "matplotlib", "optuna")


class PrintableFormatter(logging.Formatter):
    """Leaves nothing in a message's lines that a terminal would obey; a path in it begins no line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        if isinstance(record.args, tuple):
            arguments = [printable_text(str(each)) if isinstance(each, Path) else each for each in record.args]
            record = copy(record)  # other handlers get it too
            record.args = tuple(arguments)
        return "\n".join(map(printable_text, super().format(record).split("\n")))


class TerminalHandler(logging.Handler):
    """Prints messages without any prefix to what is standard output at that moment."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.setFormatter(PrintableFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        print(self.format(record), file=sys.stdout, flush=True)


class LogFileHandler(logging.StreamHandler[TextIO]):
    """Appends to a run's log file; that it cannot be written, as on a full disk, is reported once and fails nothing.

    Raises Irregular for a link, and for anything else that is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reported = False
        super().__init__(open(path, "a", encoding="utf-8", opener=open_regular))  # noqa: SIM115 `close` closes it

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Report the first error on standard error."""
        if not self.reported:
            self.reported = True
            print(f"membrane: {self.path} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self.stream.close()


@contextmanager
def log_to_terminal() -> Iterator[None]:
    """Send membrane's log lines to the terminal inside the block, and no library's; that it closes fails nothing."""
    own, root = logging.getLogger("membrane"), logging.getLogger()
    handler, silence = TerminalHandler(logging.INFO), logging.NullHandler()
    level = own.level
    own.addHandler(handler)
    root.addHandler(silence)
    own.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        with surviving_outputs():
            yield
    finally:
        logging.captureWarnings(False)
        own.setLevel(level)
        own.removeHandler(handler)
        root.removeHandler(silence)


class ConcealingFormatter(PrintableFormatter):
    """Masks what came from the environment, in tracebacks too."""

    def __init__(self, form: str, environment: FromEnvironment) -> None:
        super().__init__(form)
        self.environment = environment

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return self.environment.hide(super().format(record))


@contextmanager
def log_to_file(path: Path, environment: FromEnvironment = NOTHING) -> Iterator[None]:
    """Append what is logged inside the block, and warnings of libraries too, to the file ``path``.

    What came from the ``environment`` is masked.
    """
    root = logging.getLogger()
    handler = LogFileHandler(path)
    handler.addFilter(tells_of_run)
    handler.setFormatter(ConcealingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s", environment))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with silence_libraries():
            yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        with suppress(OSError):  # what could not be written was reported
            handler.close()


def tells_of_run(record: logging.LogRecord) -> bool:
    """Return whether a record belongs into a run's log; a library's notices and its own deprecations do not."""
    if record.name == "py.warnings":
        message = record.getMessage()
        return not ("site-packages" in message and "deprecat" in message.lower())
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in LIBRARIES


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Send what libraries log that print by themselves to the root logger only, inside the block."""
    libraries = [logging.getLogger(name) for name in PRINTING_LIBRARIES]
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
