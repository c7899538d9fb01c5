"""The figure of predictions against true values, for regression."""

import math
from typing import TYPE_CHECKING

import numpy as np

from membrane.report.panels import label_all, panels, place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 9
DOTS = "#0072B2"


def predicted_against_true(targets: np.ndarray, predictions: np.ndarray) -> "Figure":
    """Targets and predictions [n,K] → a panel for each output (the first nine): true value right, predicted up."""
    outputs = min(targets.shape[1], MOST_PANELS)
    columns = min(outputs, 3)
    lines = math.ceil(outputs / columns)
    figure, grid = panels(3.2, 3.2, lines=lines, columns=columns, across=0.6, down=0.6)
    for output, axes in enumerate(grid.ravel()):
        axes.set_visible(output < outputs)
        if output < outputs:
            scatter_panel(axes, targets[:, output], predictions[:, output])
    label_all(figure, grid, "true", "predicted")
    return figure


def scatter_panel(axes: "Axes", targets: np.ndarray, predictions: np.ndarray) -> None:
    """Draw one output [n]: a dot for each sample, the line of perfect predictions, correlation and mean error."""
    axes.plot(targets, predictions, "o", ms=4, mew=0, color=DOTS, alpha=0.6)
    shown = [value for value in np.concatenate([targets, predictions]) if np.isfinite(value)]
    ends = [min(shown), max(shown)]
    axes.plot(ends, ends, color="dimgrey", lw=0.8, ls=":", zorder=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    varies = np.ptp(targets) > 0 and np.ptp(predictions) > 0
    corr = f"corr {np.corrcoef(targets, predictions)[0, 1]:.3f}, " if varies else ""
    title = f"{corr}MAE {np.abs(predictions - targets).mean():.3f} of {len(targets):,} samples"
    place_labels(axes)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", y=1)
