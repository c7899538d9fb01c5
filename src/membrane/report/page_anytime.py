"""A page's curves over timesteps and of early exit, from what `membrane evaluate RUN timesteps=1..T` wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from membrane.report.page_curves import Curve, rounded_curve
from membrane.report.recorded import EVALUATIONS, Recorded, noted
from membrane.report.rows import ReportRow
from membrane.runs.standing import UNREADABLE

SCORES = ("test/acc", "test/confidence", "test/mae")
EARLY_EXIT = "early exit"


def row_anytime(row: ReportRow) -> dict[str, Curve]:
    """Return ``test/acc`` and the like over timesteps, and accuracy over mean passes where samples stop early.

    Each is over the seeds that were measured alike.
    """
    contents = [content for run in row.runs if (content := read_anytime(run)) is not None]
    try:
        curves = [content["curve"] for content in contents]
        told = {name: together([(each["timesteps"], each[name]) for each in curves if name in each]) for name in SCORES}
        exits = [exit_points(content["early_exit"]["curve"]) for content in contents if content.get("early_exit")]
        told[EARLY_EXIT] = together(exits)
    except UNREADABLE:
        return {}
    return {name: curve for name, curve in told.items() if curve is not None}


def read_anytime(run: Recorded) -> Mapping[str, Any] | None:
    """Return a run's measurement at every number of timesteps; that without other overrides if there are several."""
    measured = [noted(path, []) for path in sorted((run.folder / EVALUATIONS).glob("*.anytime.json"))]
    measured = [content for content in measured if isinstance(content.get("curve"), dict)]
    return min(measured, key=lambda content: len(str(content.get("overrides"))), default=None)


def exit_points(points: Sequence[Mapping[str, float]]) -> tuple[list[float], list[float]]:
    """Return mean passes and accuracy of points over thresholds."""
    return [float(point["passes"]) for point in points], [float(point["acc"]) for point in points]


def together(lines: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Curve | None:
    """Return the curve of several seeds' (x, values), the mean of both point by point; None if they do not match."""
    if not lines or len({len(each) for line in lines for each in line}) > 1:
        return None
    x, values = (np.array([line[place] for line in lines], dtype=float) for place in (0, 1))
    if not (x.size and np.isfinite(x).all() and np.isfinite(values).all()):
        return None
    order = np.argsort(x.mean(0), kind="stable")
    return rounded_curve([float(f"{each:.5g}") for each in x.mean(0)[order]], values[:, order])
