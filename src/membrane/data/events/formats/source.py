"""Files of events in memory: their header, their damage, and what a decoder returns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.recording import Events
from membrane.errors import DataError

HEADER_LIMIT = 1 << 20  # bytes; jAER writes all settings of a camera into its header, some 100 kB
SIDE = re.compile(r"[1-9]\d{0,4}")  # pixels


class Decoded(NamedTuple):
    """Decoded events in the file's order, and what is needed to check them.

    Arguments:
        events: t int64, x and y uint16, p uint8, [n] each.
        sensor: (width, height) that the file declares, or that its format can express.
        byte_of: from an event's index to the byte at which it lies in the file.
        jitter: the longest step back in time, in µs, that is legal in the format.
    """

    events: Events
    sensor: tuple[int, int]
    byte_of: Callable[[int], int]
    jitter: int = 0


class Field(NamedTuple):
    """The value of a header line, and the byte at which the line begins."""

    text: str
    byte: int


class Header(NamedTuple):
    """The lines that begin with ``mark`` at the start of a file, together, and the byte behind them."""

    lines: bytes
    mark: bytes

    @property
    def end(self) -> int:
        """Return the byte behind the header."""
        return len(self.lines)

    def field(self, name: str) -> Field | None:
        """Return what follows a name, a pattern, in the first line that begins with it in any case, or None."""
        pattern = rb"(?im)^" + self.mark + rb" *" + name.encode() + rb"(?: +(.*))?$"
        line = re.search(pattern, self.lines.replace(b"\r", b" "))
        return line and Field((line[1] or b"").decode("latin-1").strip(), line.start())


@dataclass(frozen=True)
class EventFile:
    """A file of events: its path, which errors name, and its content."""

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> EventFile:
        """Read a regular file. Raises DataError if there is none, or if it cannot be read."""
        try:
            if path.exists() and not path.is_file():  # a device has no end
                raise DataError(f"{path}: not a file")
            return cls(path, path.read_bytes())
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def damaged(self, byte: int, why: str) -> DataError:
        """Build the error for damage at a byte of the file."""
        return DataError(f"{self.path}: byte {byte}: {why}")

    def header(self, mark: bytes, last: bytes = b"") -> Header:
        """Return the lines at the start that begin with ``mark``, at most as far as the line ``last``, if there is one.

        Raises DataError if there is none, or if they do not end within 1 MiB.
        """
        at = 0
        while self.content.startswith(mark, at):
            end = self.content.find(b"\n", at, HEADER_LIMIT)
            if end < 0:
                where = "the file" if len(self.content) < HEADER_LIMIT else f"its first {HEADER_LIMIT} bytes"
                raise self.damaged(at, f"the header does not end within {where}")
            at, line = end + 1, self.content[at:end]
            if last and line.rstrip() == last:
                break
        if not at:
            raise self.damaged(0, f"no header: {mark.decode()!r} expected, {self.content[:8]!r} found")
        return Header(self.content[:at], mark)

    def records(self, start: int, size: int, what: str) -> int:
        """Return the number of records of ``size`` bytes from ``start`` to the end of the file.

        Raises DataError if the last one is cut off.
        """
        count, rest = divmod(len(self.content) - start, size)
        if rest:
            raise self.damaged(start + count * size, f"{what} is cut off: {size} bytes expected, {rest} left")
        return count

    def side(self, field: Field) -> int:
        """Return the width or height that a header field declares. Raises DataError unless it is 1…99999."""
        if not SIDE.fullmatch(field.text):
            raise self.damaged(field.byte, f"{field.text[:40]!r} is no width or height of a sensor")
        return int(field.text)


def unwrapped(counter: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Return a counter of so many bits [n] without its wraps, which are falls by half of its range or more."""
    wraps = np.cumsum(np.diff(counter, prepend=counter[:1]) <= -(1 << bits - 1))
    return counter + (wraps << bits)
