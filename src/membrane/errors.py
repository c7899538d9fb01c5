"""Errors that a command answers with one line for the person at the keyboard."""

import traceback
from collections.abc import Collection
from pathlib import Path

RESUMABLE = 75
"""The exit code of a run that stopped with a checkpoint: start it again."""


class ConfigError(ValueError):
    """The configuration cannot run; the message says in a line what is wrong and what would be right (exit code 2)."""


class DataError(RuntimeError):
    """Data are missing, damaged or malformed; the message says in a line which file, why, what helps (exit code 1)."""


class InvalidValue(DataError):
    """A value of the data, which can be read, is NaN or infinite, or a length is not from 1 to T."""


class ProtocolError(RuntimeError):
    """The test set was read where the protocol forbids it."""


class NotFinite(RuntimeError):
    """A loss or a weight is NaN or infinite. The message says where, and what helps (exit code 1)."""


class RunFailed(Exception):
    """A run failed, and its folder and the terminal say so already (exit code 1)."""


class Stopped(BaseException):
    """The process was told to stop.

    ``saved``: a checkpoint was written, from which the run goes on. ``earlier``: none was, but an earlier one is there.
    """

    def __init__(self, why: str, code: int, saved: bool = False, earlier: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.code = RESUMABLE if saved else code
        self.earlier = earlier

    @property
    def saved(self) -> bool:
        """Return whether starting it again continues it."""
        return self.code == RESUMABLE


def one_line(error: BaseException) -> str:
    """Return the first line of a library's error, or the name of its class if its message is empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def printable_text(text: str) -> str:
    """Return a text as one line for a terminal: white space as spaces, and escaped what it would obey, or not show.

    Those are control characters, escape sequences, marks that reverse the direction of writing, and half surrogates.
    """
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else ascii(sign)[1:-1] for sign in text)


def located_line(error: BaseException, packages: Collection[str]) -> str:
    """Return ``my_package.py, line 12: ValueError: …``: an error, and its line in a file of these packages."""
    message = f"{type(error).__name__}: {one_line(error)}" if str(error).strip() else type(error).__name__
    if isinstance(error, SyntaxError):  # whose own text names file and line once more
        message = f"{type(error).__name__}: {error.msg}"
    return location(error, packages) + message


def location(error: BaseException, packages: Collection[str]) -> str:
    """Return ``my_package.py, line 12: ``, the last line of top-level packages that an error came through, or ""."""
    if isinstance(error, SyntaxError) and error.filename:  # while its file is imported, which has no frame yet
        return f"{Path(error.filename).name}, line {error.lineno}: "
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] in packages:
            file = Path(frame.f_code.co_filename)
            depth = module.count(".") + 1 + (file.name == "__init__.py")
            place = f"{'/'.join(file.parts[-depth:])}, line {line}: "
    return place
