"""The figure of the confusion matrix."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from membrane.report.panels import panels, place_labels, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

UNBROKEN = "\u00a0"
MOST_WRITTEN = 20
"""Classes up to which counts, scores and names are readable in print."""


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int | Sequence[str]) -> "Figure":
    """Labels and predictions [n] → a row for each true class: the shares of its samples by predicted class.

    Up to 20 classes the counts stand in the cells; above that there is a colour scale, finer for small shares, and the
    most frequent confusions are listed.
    """
    from matplotlib.colors import PowerNorm

    names = class_names(classes)
    counts = confusion_counts(labels, predictions, len(names))
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    small = len(names) <= MOST_WRITTEN
    side = min(max(1.9 + 0.36 * len(names), 3.5), 6.8) if small else 5.5
    figure, [[axes]] = panels(side, side, margin=width_of(names))
    picture = axes.imshow(share, cmap="Blues", norm=PowerNorm(1 if small else 0.5, 0, 1), interpolation="nearest")
    title = f"accuracy {100 * np.trace(counts) / counts.sum():.1f} % of {counts.sum():,} samples"
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", y=1)
    name_classes(axes, names)
    if small:
        write_counts(axes, counts, share)
    else:
        add_scale(axes, picture)
        axes.set_xlabel(f"{axes.get_xlabel()}\n\n{frequent_confusions(counts, names)}")
    return figure


def class_names(classes: int | Sequence[str]) -> list[str]:
    """Return the names of classes, their numbers if only how many there are is known."""
    return [str(k) for k in range(classes)] if isinstance(classes, int) else list(classes)


def confusion_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Count samples by labels and predictions [n] → true class by predicted class [K,K]."""
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, -1)


def add_scale(axes: "Axes", picture: "AxesImage") -> None:
    """Draw the colour scale to the right of the panel."""
    beside = axes.inset_axes((1.05, 0.1, 0.04, 0.8))
    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
    bar = axes.figure.colorbar(picture, cax=beside, ticks=ticks, format=lambda value, _: f"{100 * value:g} %")
    bar.set_label("share of the true class", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)


def name_classes(axes: "Axes", names: Sequence[str]) -> None:
    """Write class names at the ticks: every one up to 20 classes, every tenth above."""
    step = 1 if len(names) <= MOST_WRITTEN else 10
    ticks, shown = range(0, len(names), step), names[::step]
    slanted = max(map(len, names)) > 3
    axes.set_xticks(ticks, shown, fontsize=8.5, rotation=45 * slanted, ha="right" if slanted else "center")
    axes.set_yticks(ticks, shown, fontsize=8.5)
    if not slanted:
        place_labels(axes, 0.27, 0.31)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.spines[:].set_visible(step > 1)
    if step == 1:
        axes.tick_params(length=0)
        borders = np.arange(1, len(names)) - 0.5
        axes.hlines(borders, -0.5, len(names) - 0.5, colors="white", lw=1.6)
        axes.vlines(borders, -0.5, len(names) - 0.5, colors="white", lw=1.6)


def write_counts(axes: "Axes", counts: np.ndarray, share: np.ndarray) -> None:
    """Write the number of samples into every cell that has any."""
    for row, column in np.argwhere(counts):
        colour = "white" if share[row, column] > 0.55 else "black"
        size = 9.5 if len(counts) <= 10 else 7
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=size, color=colour)


def frequent_confusions(counts: np.ndarray, names: Sequence[str], most: int = 4) -> str:
    """Return ``most often confused: 3 as 5 (12 of 100), …`` for counts [K,K]; empty if nothing was confused.

    Lines break between pairs only.
    """
    wrong = counts - np.diag(np.diag(counts))
    cells = [divmod(int(cell), len(counts)) for cell in np.argsort(-wrong, axis=None, kind="stable")[:most]]
    pairs = [f"{names[i]} as {names[j]} ({wrong[i, j]} of {counts[i].sum()})" for i, j in cells if wrong[i, j]]
    unbroken = ", ".join(pair.replace(" ", UNBROKEN) for pair in pairs)
    return fill(f"most often confused: {unbroken}", 80).replace(UNBROKEN, " ") if pairs else ""
