"""The figures of a run, from its metrics.csv, its test outputs and the spikes of one sample.

They are drawn without pyplot, so that no global state changes. Colours are Okabe and Ito's (2008), which colour-blind
readers tell apart, and matplotlib's perceptually uniform maps.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from membrane.report.confusion import confusion_matrix
from membrane.report.curves import Best, NothingToDraw, firing_rates, learning_curves
from membrane.report.panels import write_png
from membrane.report.raster import raster
from membrane.report.scatter import predicted_against_true
from membrane.runs.table import read_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


def draw_figures(
    folder: Path, spikes: Mapping[str, np.ndarray], task: str = "classification", best: Best | None = None
) -> list[Path]:
    """Write figures/*.png into a run folder and return their paths; figures without data are skipped.

    Spikes are [T,neurons] by layer; ``best`` is the epoch whose checkpoint was kept, and the score that selected it.
    """
    import matplotlib as mpl

    paths = []
    with mpl.rc_context():
        mpl.rcdefaults()  # a matplotlibrc in the working folder has been read: it may ask for LaTeX
        for name, draw in drawings(folder, spikes, task, best).items():
            path = folder / "figures" / f"{name}.png"
            try:
                figure = draw()
            except NothingToDraw as reason:
                log.info("no figure %s: %s", name, reason)
                continue
            write_png(figure, path)
            paths.append(path)
    return paths


def drawings(
    folder: Path, spikes: Mapping[str, np.ndarray], task: str, best: Best | None = None
) -> dict[str, "Callable[[], Figure]"]:
    """Return the functions that draw a run's figures, by name; they raise NothingToDraw without data."""
    outputs, table = folder / "outputs" / "test.npz", folder / "metrics.csv"
    predictions: dict[str, Callable[[], Figure]] = {
        "classification": {"confusion_matrix": lambda: confusion_matrix(*labels_and_predictions(outputs))},
        "regression": {"predicted_against_true": lambda: predicted_against_true(*targets_and_predictions(outputs))},
    }[task]
    return {
        "learning_curves": lambda: learning_curves(table_rows(table), best),
        **predictions,
        "firing_rates": lambda: firing_rates(table_rows(table)),
        "raster": lambda: raster(require_spikes(spikes)),
    }


def table_rows(path: Path) -> list[dict[str, float]]:
    """Read the rows of metrics.csv. Raises NothingToDraw without that file."""
    if not path.exists():
        raise NothingToDraw(f"there is no {path.name}")
    return read_rows(path)


def labels_and_predictions(path: Path) -> tuple[np.ndarray, np.ndarray, int | list[str]]:
    """Read labels [n], predictions [n] and the classes' names, or their number if they have none, from test.npz.

    Raises NothingToDraw without labels and predictions.
    """
    if not path.exists():
        raise NothingToDraw(f"there is no {path.name}")
    with np.load(path) as arrays:
        labels, output = arrays["label"], arrays["output"]
        names = arrays["classes"].tolist() if "classes" in arrays else None
    if labels.dtype.kind not in "iu" or output.ndim != 2 or output.shape[1] < 2 or not len(labels):
        raise NothingToDraw(f"{path.name} has no classes")
    return labels, output.argmax(1), names or output.shape[1]


def targets_and_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read targets [n,K] and predictions [n,K] from test.npz. Raises NothingToDraw without them."""
    if not path.exists():
        raise NothingToDraw(f"there is no {path.name}")
    with np.load(path) as arrays:
        targets, output = arrays["label"], arrays["output"]
    if targets.dtype.kind != "f" or targets.ndim != 2 or targets.shape != output.shape or not len(targets):
        raise NothingToDraw(f"{path.name} has no targets")
    return targets, output


def require_spikes(spikes: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return the spikes. Raises NothingToDraw if there are none."""
    if not spikes:
        raise NothingToDraw("no spikes were recorded")
    return spikes
