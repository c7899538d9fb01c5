"""Standard output and error that neither a closed pipe nor a locale without UTF-8 turns into an error."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from membrane.schema.environment import FromEnvironment


class SurvivingOutput:
    """A text stream to a pipe that may close, as `| head` does: what is written after that goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write text and return its length."""
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            discard_output(self.stream)
            return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        try:
            self.stream.flush()
        except BrokenPipeError:
            discard_output(self.stream)


class ConcealingOutput:
    """A text stream on which what came from the environment is masked: lines, tables, tracebacks of any library."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.values = frozenset[str]()
        self.pattern: re.Pattern[str] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def conceal(self, environment: "FromEnvironment") -> None:
        """Mask the values of this environment too from now on."""
        from membrane.schema.environment import pattern_of

        self.values |= environment.values
        self.pattern = pattern_of(self.values)

    def write(self, text: str) -> int:
        """Write text and return the length of what was to be written."""
        self.stream.write(text if self.pattern is None else self.pattern.sub("***", text))
        return len(text)


@contextmanager
def concealing_outputs() -> Iterator[None]:
    """Let standard output and error mask, inside the block, what `conceal` names."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = ConcealingOutput(sys.stdout), ConcealingOutput(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def conceal(environment: "FromEnvironment") -> None:
    """Mask what a configuration took from the environment in what this process prints, to the end of the command."""
    for stream in (sys.stdout, sys.stderr):
        if environment.values and hasattr(stream, "conceal"):
            stream.conceal(environment)


def discard_output(stream: TextIO) -> None:
    """Let a stream's descriptor lead to the null device, where what is still buffered goes too."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


@contextmanager
def surviving_outputs() -> Iterator[None]:
    """Let standard output and error survive that nobody reads them any more, inside the block."""
    streams = sys.stdout, sys.stderr
    surviving = SurvivingOutput(sys.stdout), SurvivingOutput(sys.stderr)
    sys.stdout, sys.stderr = surviving
    try:
        yield
    finally:
        for stream in surviving:
            stream.flush()
        if (sys.stdout, sys.stderr) == surviving:
            sys.stdout, sys.stderr = streams


def replace_unprintable() -> None:
    """Print a question mark for each character, such as ±, that the encoding of standard output or error lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")
