"""The end of a metrics.csv: how far a training is and how fast, however long the file is and wherever it breaks off."""

import csv
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

from membrane.files.regular import open_regular

NEEDED = ("epoch", "step", "seconds", "train/loss")
LONGEST = 1 << 20
"""Bytes in a header, at most."""
FARTHEST = 1 << 26
"""Bytes before the end in which a row is looked for, at most."""


@dataclass(frozen=True)
class Advance:
    """A training's progress: ``completed`` epochs, which is also the number of the next, and ``seconds`` trained.

    ``done`` is the number of epochs behind it, as a fraction, unknown in the first epoch; ``gap`` the longest time in
    seconds between two neighbouring rows, unknown of a single row.
    """

    completed: int
    seconds: float
    done: float | None
    gap: float | None

    def left(self, epochs: int) -> float | None:
        """Return the seconds until so many epochs are trained, at the pace of the whole training so far."""
        if not self.done:
            return None
        return max(epochs - self.done, 0) * self.seconds / self.done


@dataclass(frozen=True)
class Row:
    """A row's epoch, step and seconds; ``closes``: it is an epoch's own row, which has no training numbers."""

    epoch: int
    step: float
    seconds: float
    closes: bool

    @classmethod
    def of(cls, cells: list[str]) -> Self | None:
        """Return a row of the cells `NEEDED`, or None if they are not what the table writes."""
        try:
            epoch, step, seconds = map(float, cells[:3])
        except ValueError:
            return None
        if not all(map(math.isfinite, (epoch, step, seconds))):
            return None
        return cls(int(epoch), step, seconds, not cells[3])


def read_advance(path: Path, paced: bool = True, block: int = 1 << 16) -> Advance | None:
    """Return how far a metrics.csv is, or None before its first row. Raises ValueError if it is no metrics.csv.

    Reads ``block`` bytes from the end, and more while they hold no row, or, where how fast it is matters (``paced``),
    no epoch's own row although there must be one.
    """
    while True:
        rows, whole = read_last_rows(path, block)
        if not rows and whole:
            return None
        closed = next((row for row in reversed(rows) if row.closes), None)
        if rows and (closed is not None or whole or rows[-1].epoch == 0 or not paced):
            last = rows[-1]
            gaps = [after.seconds - row.seconds for row, after in pairwise(rows)]
            return Advance(last.epoch + last.closes, last.seconds, epochs_done(last, closed), max(gaps, default=None))
        if block >= FARTHEST:
            raise ValueError(f"no row in its last {FARTHEST >> 20} MiB")
        block *= 8


def epochs_done(last: Row, closed: Row | None) -> float | None:
    """Return the epochs behind ``last``, by the optimiser's steps an epoch up to ``closed``, None without that."""
    if closed is None or closed.step <= 0:
        return None
    return (closed.epoch + 1) * last.step / closed.step


def read_last_rows(path: Path, block: int) -> tuple[list[Row], bool]:
    """Return the whole rows in the last ``block`` bytes, and whether these are all rows there are."""
    with open(path, "rb", opener=open_regular) as file:
        columns = header_columns(file.readline(LONGEST))
        first, end = file.tell(), file.seek(0, 2)
        start = max(first, end - block)
        file.seek(start)
        text = file.read(end - start).decode(errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last row may be on its way
    lines = lines if start == first else lines[1:]
    needed = [columns.index(name) for name in NEEDED]
    whole = (cells for cells in (line.split(",") for line in lines) if len(cells) == len(columns))
    rows = (Row.of([cells[column] for column in needed]) for cells in whole)
    return [row for row in rows if row is not None], start == first


def header_columns(line: bytes) -> list[str]:
    """Return the names of the columns. Raises ValueError if one of those `NEEDED` is not among them."""
    try:
        columns = next(csv.reader([line.decode(errors="replace").rstrip("\r\n")]), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if missing := [name for name in NEEDED if name not in columns]:
        raise ValueError(f"no column {', '.join(missing)}")
    return columns
