"""The curves of a report's page: scores, losses and health over the epochs, a mean and a band over seeds."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from membrane.files.regular import open_regular
from membrane.report.curves import by_epoch
from membrane.report.rows import ReportRow
from membrane.runs.standing import UNREADABLE
from membrane.scores import PRINCIPAL

Curve = dict[str, list[float]]
"""``x``, the epochs from 0, ``mean`` over seeds, and, of several seeds, ``low`` and ``high``, the outermost ones."""
PARTS = ("val", "oracle", "train")
HEALTH = "health.csv"
POINTS = 12_000
"""Points of a kind of curve on a page, at most, over all rows."""
LONGEST = 1 << 26
"""Bytes of a table of metrics that are read, at most."""
MOST_HEALTH = 40
"""Curves of health of a row, at most."""


def row_curves(row: ReportRow, rows: int) -> dict[str, Curve]:
    """Return ``val/acc`` and the like → its curve, of as many points as there is room for beside so many rows."""
    names = [f"{part}/{score}" for part in PARTS for score in ("loss", *PRINCIPAL.values())]
    return seeds_together(row, "metrics.csv", rows, lambda columns: [name for name in names if name in columns])


def row_health(row: ReportRow, rows: int) -> dict[str, Curve]:
    """Return ``silent/<layer>`` and the like → its curve, from health.csv where the run has one."""

    return seeds_together(row, HEALTH, rows, health_columns)


def health_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns to draw, of each kind as many: of a deep net the first layers'."""
    kinds = health_groups([name for name in columns if "/" in name])
    of_kind = [[name for name in columns if name.startswith(f"{kind}/")] for kind in kinds]
    return [name for names in of_kind for name in names[: MOST_HEALTH // len(kinds)]]


def seeds_together(
    row: ReportRow, file: str, rows: int, chosen: Callable[[Sequence[str]], list[str]]
) -> dict[str, Curve]:
    """Return column → its curve over the row's finished runs, in the epochs that all of them have."""
    tables = [table for run in row.runs if (table := read_table(run.folder / file))]
    first = chosen(tables[0][0]) if tables else []
    columns = [name for name in first if all(name in table[0] for table in tables)]
    curves = {}
    for name in columns:
        lines = [dict(zip(*map(np.ndarray.tolist, by_epoch(table[1], name)), strict=True)) for table in tables]
        epochs = sorted(set.intersection(*map(set, lines)))
        if epochs:
            values = np.array([[line[epoch] for epoch in epochs] for line in lines])
            curves[name] = thinned(epochs, values, max(POINTS // rows, 12))
    return curves


def read_table(path: Path) -> tuple[list[str], list[dict[str, float]]] | None:
    """Return the columns of a run's table and its rows without their empty cells; None if it cannot be read."""
    try:
        with open(path, encoding="utf-8", newline="", opener=open_regular) as file:
            reader = csv.DictReader(file.read(LONGEST).splitlines())
            rows = [
                {name: float(cell) for name, cell in row.items() if name and isinstance(cell, str) and cell}
                for row in reader
            ]
        return list(reader.fieldnames or ()), [row for row in rows if np.isfinite(row.get("epoch", np.nan))]
    except (*UNREADABLE, csv.Error):
        return None


def thinned(epochs: Sequence[int], values: np.ndarray, points: int) -> Curve:
    """Epochs [e], values [seeds,e] → the curve at so many epochs, evenly chosen, the first and the last among them."""
    places = np.unique(np.linspace(0, len(epochs) - 1, min(points, len(epochs))).round().astype(int))
    return rounded_curve([epochs[place] for place in places], values[:, places])


def rounded_curve(x: Sequence[float], values: np.ndarray) -> Curve:
    """X [e], values [seeds,e] → the curve of their mean and, of several seeds, their lowest and highest."""
    curve = {"x": list(x), "mean": short_values(values.mean(0))}
    return (
        curve if len(values) < 2 else curve | {"low": short_values(values.min(0)), "high": short_values(values.max(0))}
    )


def short_values(values: np.ndarray) -> list[float]:
    """Return values with five significant digits, which is finer than a screen."""
    return [float(f"{value:.5g}") for value in values]


def health_groups(health: Iterable[str]) -> list[str]:
    """Return the kinds of health, ``silent`` of ``silent/<layer>``, in the order of their columns."""
    return list(dict.fromkeys(name.partition("/")[0] for name in health))
