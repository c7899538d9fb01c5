"""The pictures of a run, from its metrics.csv, its test outputs and the spikes of one sample.

Every figure is made without pyplot, so that nothing global is touched. Colours are Okabe and Ito's (2008), which
colour-blind readers tell apart, and matplotlib's perceptually uniform maps.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from membrane.report.confusion import confusion_matrix
from membrane.report.curves import NothingToDraw, firing_rates, learning_curves
from membrane.report.panels import write
from membrane.report.raster import raster
from membrane.report.scatter import predicted_against_true
from membrane.runs.table import read_rows as read_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

__all__ = ["confusion_matrix", "draw", "firing_rates", "learning_curves", "predicted_against_true", "raster"]


def draw(folder: Path, spikes: Mapping[str, np.ndarray], task: str = "classification") -> list[Path]:
    """Write ``figures/*.png`` into a run folder; spikes are [T,neurons] by layer. What has no data is skipped."""
    outputs = folder / "outputs" / "test.npz"
    judged: dict[str, Callable[[], Figure]] = (
        {"predicted_against_true": lambda: predicted_against_true(*regressed(outputs))}
        if task == "regression"
        else {"confusion_matrix": lambda: confusion_matrix(*classified(outputs))}
    )
    figures: dict[str, Callable[[], Figure]] = {
        "learning_curves": lambda: learning_curves(rows_of(folder / "metrics.csv")),
        **judged,
        "firing_rates": lambda: firing_rates(rows_of(folder / "metrics.csv")),
        "raster": lambda: raster(recorded(spikes)),
    }
    paths = []
    for name, figure in figures.items():
        path = folder / "figures" / f"{name}.png"
        try:
            drawn = figure()
        except NothingToDraw as reason:
            log.info("no figure %s: %s", name, reason)
            continue
        path.parent.mkdir(exist_ok=True)
        write(drawn, path)
        paths.append(path)
    return paths


def rows_of(path: Path) -> list[dict[str, float]]:
    """The rows of metrics.csv."""
    if not path.exists():
        raise NothingToDraw(f"there is no {path.name}")
    return read_rows(path)


def classified(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """outputs/test.npz → labels [n], predictions [n] and the number of classes."""
    if not path.exists():
        raise NothingToDraw(f"there is no {path.name}")
    with np.load(path) as arrays:
        labels, output = arrays["label"], arrays["output"]
    if labels.dtype.kind not in "iu" or output.ndim != 2 or output.shape[1] < 2 or not len(labels):
        raise NothingToDraw(f"{path.name} has no classes")
    return labels, output.argmax(1), output.shape[1]


def regressed(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """outputs/test.npz → targets [n,K] and predictions [n,K]."""
    if not path.exists():
        raise NothingToDraw(f"there is no {path.name}")
    with np.load(path) as arrays:
        targets, output = arrays["label"], arrays["output"]
    if targets.dtype.kind != "f" or targets.ndim != 2 or targets.shape != output.shape or not len(targets):
        raise NothingToDraw(f"{path.name} has no targets")
    return targets, output


def recorded(spikes: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The spikes, if there are any."""
    if not spikes:
        raise NothingToDraw("no spikes were recorded")
    return spikes
