"""metrics.csv and health.csv: append-only, with columns fixed before the first row; epochs count from 0."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from membrane.errors import DataError
from membrane.files import durable
from membrane.files.regular import open_regular


class MetricsTable:
    """Rows of named numbers; a cell for which a row has no value stays empty."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.names = frozenset(columns)

    def create(self) -> None:
        """Write a new file with its columns. Raises FileExistsError if there is one."""
        with open(self.path, "x", encoding="utf-8", newline="", opener=open_regular) as file:
            csv.writer(file).writerow(self.columns)

    def begin_after(self, step: int) -> None:
        """Write the file anew, with the rows up to an optimiser step of one that has the same columns."""
        kept = []
        with suppress(FileNotFoundError), open(self.path, encoding="utf-8", newline="", opener=open_regular) as file:
            if step > 0 and next(csv.reader(file), []) == self.columns:
                kept = [row for row in read_rows(self.path) if row["step"] <= step]
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self.columns, *map(self.cells, kept)])
        durable.write_whole(self.path, lambda file: file.write(text.getvalue().encode()))

    def cut(self, length: int, newer: Sequence[str] = ()) -> None:
        """Cut what was written after the first ``length`` bytes, and go on with the columns that the file has.

        The file is written anew: it may have another name (a hard link), as in a copy of the folder. It may lack
        ``newer`` columns, as an earlier version's does. Raises DataError if the file is another or shorter.
        """
        try:
            with open(self.path, "rb", opener=open_regular) as file:
                columns = next(csv.reader([file.readline().decode()]), [])
                if columns != [name for name in self.columns if name in columns or name not in newer]:
                    raise DataError(f"{self.path}: its columns are not this version's; rerun=true runs it anew")
                if file.seek(0, os.SEEK_END) < length:
                    raise DataError(f"{self.path}: shorter than its checkpoint says; rerun=true runs it anew")
                file.seek(0)
                rows = file.read(length)
                self.columns = columns
            durable.write_whole(self.path, lambda file: file.write(rows))
        except FileNotFoundError:
            raise DataError(f"{self.path}: missing, though there is a checkpoint; rerun=true runs it anew") from None

    def append(self, row: Mapping[str, float | int]) -> None:
        """Add a row. Raises ValueError for a name that the table was not made for."""
        unknown = set(row) - self.names
        if unknown:
            raise ValueError(f"{self.path.name} has no column {', '.join(sorted(unknown))}")
        with open(self.path, "a", encoding="utf-8", newline="", opener=open_regular) as file:
            csv.writer(file).writerow(self.cells(row))

    def cells(self, row: Mapping[str, float | int]) -> list[str]:
        """Return a row as its cells in order."""
        return [f"{row[name]:.10g}" if name in row else "" for name in self.columns]

    def flush(self) -> int:
        """Bring all rows to the disk. Return the file's length in bytes."""
        with open(self.path, "rb", opener=open_regular) as file:
            os.fsync(file.fileno())
            return file.seek(0, os.SEEK_END)


def require_whole(path: Path, length: int) -> None:
    """Raise DataError unless the first ``length`` bytes of a run's metrics.csv are there and are rows of numbers."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            content = file.read(length)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    if len(content) < length:
        raise DataError(f"{path}: damaged (shorter than its checkpoint says)")
    try:
        columns, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        whole = columns[:2] == ["epoch", "step"] and all(len(row) == len(columns) for row in rows)
        for row in rows:
            [float(cell) for cell in row if cell]
    except (ValueError, csv.Error):
        whole = False
    if not whole:
        raise DataError(f"{path}: damaged (not a table of numbers by epoch and step)")


def read_rows(path: Path) -> list[dict[str, float]]:
    """Return the rows of a metrics.csv, each without the cells that are empty."""
    with open(path, encoding="utf-8", newline="", opener=open_regular) as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
