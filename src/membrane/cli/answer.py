"""Turn exceptions into a line on standard error and an exit code, for every command.

0: done; 1: a run failed, or data are missing or damaged; 2: what was typed was refused; 75: stopped with a checkpoint;
130 and 143: stopped without one, by Ctrl-C and SIGTERM; 141: nobody reads the output any more.
"""

import os
import sys
import traceback
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import NoReturn

from membrane.config.installation import setup_command
from membrane.errors import ConfigError, DataError, RunFailed, Stopped, printable_text
from membrane.files.lock import Occupied
from membrane.files.regular import Irregular

LONGEST = 4000
"""Characters of a line on standard error, at most."""
OUTPUT_CLOSED = 141
"""The exit code that a shell gives a program of which the output was closed: 128 + SIGPIPE."""


class CommandParser(ArgumentParser):
    """The arguments of `membrane COMMAND`; a mistake in them is a ConfigError rather than the end of the process."""

    def __init__(self, command: str, description: str | None, epilog: str = "") -> None:
        super().__init__(
            prog=f"membrane {command}".strip(),
            description=description,
            epilog=epilog,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError with argparse's message."""
        raise ConfigError(f"{message}; see {self.prog} --help")


def answer(command: Callable[[], int]) -> int:
    """Run a command and return its exit code, after a line on standard error if it ended with an exception."""
    try:
        return flushed(command)
    except BrokenPipeError:  # as in `membrane models | head`; Python would complain at its end, when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    except (Exception, KeyboardInterrupt, Stopped) as error:
        code, line = code_and_line(error)
        if line:
            print(f"membrane: {shortened(printable_text(line))}", file=sys.stderr)
        elif line is None:
            print(*map(printable_text, traceback.format_exc().splitlines()), sep="\n", file=sys.stderr)
        return code


def shortened(line: str) -> str:
    """Return a line without its middle if that is longer than a person would read."""
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def flushed(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; all that it printed has then left this process."""
    try:
        return command()
    except SystemExit as ended:  # argparse ends so after --help
        if isinstance(ended.code, str):  # as sys.exit prints it
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    finally:
        sys.stdout.flush()


def code_and_line(error: BaseException) -> tuple[int, str | None]:
    """Return the exit code of an exception and what to say of it: "" for nothing, None for its traceback."""
    match error:
        case ConfigError():
            return 2, str(error)
        case DataError() | Occupied() | RunFailed():
            return 1, str(error)
        case Irregular():
            return 1, f"{error.filename}: {error.strerror}"
        case Stopped():
            return error.code, f"stopped by {error.why} {how_to_go_on(error)}"
        case KeyboardInterrupt():
            return 130, "; ".join(["stopped", *map(str, error.args)])
        case ModuleNotFoundError() if error.name and error.name.partition(".")[0] != "membrane":
            return 1, f"{error.name} is not installed here; {how_to_set_up()}"
    return 1, None


def how_to_set_up() -> str:
    """Return the command that installs what is missing."""
    command = setup_command()
    return f"`{command}`" + (", then `source .venv/bin/activate`" if command.startswith("make") else "")


def how_to_go_on(stopped: Stopped) -> str:
    """Return what a run that was stopped has saved, and what starting it again does."""
    if stopped.saved:
        return "with a checkpoint; start it again to go on"
    if stopped.earlier:
        return "at once; start it again to go on from its last checkpoint"
    return "without a checkpoint; start it again to run it anew"
