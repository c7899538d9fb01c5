"""metrics.csv: append-only, its columns fixed before the first row."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


class MetricsTable:
    """Rows of named numbers; a cell for which a row has no value stays empty."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        with path.open("x", newline="") as file:
            csv.writer(file).writerow(self.columns)

    def append(self, row: Mapping[str, float | int]) -> None:
        """Add a row. ValueError for a name that has no column."""
        unknown = set(row) - set(self.columns)
        if unknown:
            raise ValueError(f"metrics.csv has no column {', '.join(sorted(unknown))}")
        cells = [f"{row[name]:.10g}" if name in row else "" for name in self.columns]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(cells)


def rows(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, each with the cells that it has."""
    with path.open(newline="") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
