"""The pictures of a run: learning curves, confusion matrix, firing rates and a spike raster.

Every function returns a matplotlib Figure made without pyplot, so that nothing global is touched. Colours are those
of Okabe and Ito (2008), told apart by colour-blind readers, and the perceptually uniform maps of matplotlib.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from membrane.tracking.firing import SATURATED, SILENT
from membrane.tracking.table import rows as read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

Row = Mapping[str, float]

TRAINED, MEASURED, GREY = "#0072B2", "#D55E00", "#767676"
MOST_NEURONS = 200
MOST_LABELS = 24


class NothingToDraw(ValueError):
    """The data for a figure is not there: which, in one line."""


def draw(folder: Path, spikes: Mapping[str, np.ndarray]) -> list[Path]:
    """Write ``figures/*.png`` of a run folder; spikes are [T,neurons] by layer. A figure without data is skipped."""
    rows = read_rows(folder / "metrics.csv") if (folder / "metrics.csv").exists() else []
    pictures = {
        "learning_curves": lambda: learning_curves(rows),
        "confusion_matrix": lambda: confusion_matrix(*classified(folder / "outputs" / "test.npz")),
        "firing_rates": lambda: firing_rates(rows),
        "raster": lambda: raster(spikes),
    }
    paths = []
    for name, picture in pictures.items():
        path = folder / "figures" / f"{name}.png"
        try:
            figure = picture()
        except NothingToDraw as reason:
            log.info("no figure %s: %s", name, reason)
            continue
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=150)
        paths.append(path)
    return paths


def classified(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """outputs/test.npz → labels [n], predictions [n] and the number of classes."""
    if not path.exists():
        raise NothingToDraw(f"{path.name} is not there")
    with np.load(path) as arrays:
        labels, output = arrays["label"], arrays["output"]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or output.ndim != 2 or not len(labels):
        raise NothingToDraw(f"{path.name} has no class for each sample")
    return labels, output.argmax(1), output.shape[1]


def by_epoch(rows: Sequence[Row], column: str) -> tuple[np.ndarray, np.ndarray]:
    """The column's mean in each epoch that has a value: epochs [e], means [e]."""
    cells: dict[int, list[float]] = {}
    for row in rows:
        if column in row:
            cells.setdefault(int(row["epoch"]), []).append(row[column])
    epochs = sorted(cells)
    return np.array(epochs), np.array([np.mean(cells[epoch]) for epoch in epochs])


def learning_curves(rows: Sequence[Row]) -> "Figure":
    """Loss and accuracy against the epoch (from 0, as in metrics.csv): training and what is measured after an epoch."""
    from matplotlib.figure import Figure

    part = "oracle" if any("oracle/loss" in row for row in rows) else "val"
    curves = {
        metric: {name: by_epoch(rows, f"{name}/{metric}") for name in ("train", part)} for metric in ("loss", "acc")
    }
    panels = [metric for metric, lines in curves.items() if any(len(epochs) for epochs, _ in lines.values())]
    if not panels:
        raise NothingToDraw("metrics.csv has no loss and no accuracy")
    figure = Figure(figsize=(4.8 * len(panels), 3.4), layout="constrained")
    best = best_epoch(curves["acc"][part], curves["loss"][part])
    for axes, metric in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        tidy(axes, {"loss": "loss", "acc": "accuracy"}[metric])
        for colour, (name, (epochs, line)) in zip((TRAINED, MEASURED), curves[metric].items(), strict=True):
            if len(epochs):
                axes.plot(epochs, line, color=colour, lw=1.8, marker="o" if len(epochs) <= 30 else None, ms=3.5, label=name)
        scale_values(axes, metric)
        if best is not None:
            mark_best(axes, best, part, metric, curves[metric][part])
        label_ends(axes)
    return figure


def best_epoch(accuracy: tuple[np.ndarray, np.ndarray], loss: tuple[np.ndarray, np.ndarray]) -> int | None:
    """The first epoch of the highest accuracy, else of the lowest loss; None where neither was measured."""
    for sign, (epochs, values) in ((1, accuracy), (-1, loss)):
        if np.isfinite(values).any():
            return int(epochs[np.nanargmax(sign * values)])
    return None


def scale_values(axes: "Axes", metric: str) -> None:
    """Accuracies in percent; a loss that falls by more than 30 times on a logarithmic axis."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    if metric == "acc":
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    elif 0 < 30 * np.nanmin(values) < np.nanmax(values):
        axes.set_yscale("log")


def mark_best(axes: "Axes", best: int, part: str, metric: str, line: tuple[np.ndarray, np.ndarray]) -> None:
    """A vertical line at the best epoch, a ring around its value, and the value itself above the panel."""
    axes.axvline(best, color=GREY, lw=0.8, ls=":", zorder=0)
    for value in line[1][line[0] == best]:
        axes.plot(best, value, "o", ms=8, mfc="none", mec=MEASURED, mew=1.3)
        shown = f"{100 * value:.1f} %" if metric == "acc" else f"{value:.3g}"
        axes.set_title(f"best epoch {best}: {part} {shown}", loc="right", fontsize=8.5, color=GREY)


def tidy(axes: "Axes", title: str) -> None:
    """The look of a panel over epochs: its name above, two spines, a faint grid."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def label_ends(axes: "Axes", size: float = 9.5) -> None:
    """Write each labelled line's name beside its last value, moved apart where they would touch."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    lines = [line for line in lines if np.isfinite(np.asarray(line.get_ydata(), dtype=float)).any()]
    ends = []
    for line in lines:
        values = np.asarray(line.get_ydata(), dtype=float)
        point = (0.0, values[np.isfinite(values)][-1])
        ends.append(float(axes.transAxes.inverted().transform(axes.transData.transform(point))[1]))
    height = axes.get_figure().get_size_inches()[1] * 0.78  # type: ignore[union-attr]
    for line, end, place in zip(lines, ends, apart(ends, 1.25 * size / 72 / height), strict=True):
        colour = line.get_color()
        axes.plot([1.005, 1.03], [end, place], color=colour, lw=0.7, transform=axes.transAxes, clip_on=False)
        axes.text(1.04, place, str(line.get_label()), color=colour, fontsize=size, va="center", transform=axes.transAxes)


def apart(positions: Sequence[float], gap: float) -> list[float]:
    """Positions in [0,1], each moved as little as it takes to keep their order and a gap between neighbours."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = [min(max(positions[index], 0.0), 1.0) for index in order]
    for upper in range(1, len(moved)):
        moved[upper] = max(moved[upper], moved[upper - 1] + gap)
    ceiling = max(1.0, gap * (len(moved) - 1))
    for upper in range(len(moved) - 1, -1, -1):
        moved[upper] = min(moved[upper], ceiling - gap * (len(moved) - 1 - upper))
    places = dict(zip(order, moved, strict=True))
    return [places[index] for index in range(len(positions))]


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int | Sequence[str]) -> "Figure":
    """Labels and predictions [n] → each class's samples (a row) by what they were taken for; rows sum to 100 %.

    Up to 20 classes the counts stand in the cells; above, the most frequent confusions are listed.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    names = [str(k) for k in range(classes)] if isinstance(classes, int) else list(classes)
    k = len(names)
    counts = np.bincount(labels * k + predictions, minlength=k * k).reshape(k, k)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 6.4 if k > 20 else min(max(2.6 + 0.36 * k, 4.2), 7.5)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5 if k > 20 else 0.8, 0, 1), interpolation="nearest")
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1] if k > 20 else [0, 0.25, 0.5, 0.75, 1])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]
    axes.set_title(f"accuracy {np.trace(counts) / counts.sum():.1%} of {counts.sum():,} samples", loc="left", fontsize=11, fontweight="bold")
    name_classes(axes, names)
    if k <= 20:
        write_counts(axes, counts, share)
    else:
        figure.supxlabel(worst_confusions(counts, names), fontsize=8, color=GREY)
    return figure


def name_classes(axes: "Axes", names: Sequence[str]) -> None:
    """Class names at the ticks: all of them up to 20 classes, every tenth above."""
    step = 1 if len(names) <= 20 else 10
    long = max(map(len, names)) > 3
    axes.set_xticks(range(0, len(names), step), names[::step], fontsize=8.5, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=8.5)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.tick_params(length=0 if step == 1 else 3)
    axes.spines[:].set_visible(False)
    if step == 1:
        axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", lw=1.2)
        axes.tick_params(which="minor", length=0)


def write_counts(axes: "Axes", counts: np.ndarray, share: np.ndarray) -> None:
    """The number of samples in every cell that has any."""
    size = 9.5 if len(counts) <= 10 else 7
    for row, column in np.argwhere(counts):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=size, color=colour)


def worst_confusions(counts: np.ndarray, names: Sequence[str], most: int = 4) -> str:
    """``most often confused: 3 as 5 (12 of 100), …``; empty where nothing was."""
    wrong = counts - np.diag(np.diag(counts))
    cells = [divmod(int(cell), len(counts)) for cell in np.argsort(wrong, axis=None)[::-1][:most]]
    listed = [f"{names[i]} as {names[j]} ({wrong[i, j]} of {counts[i].sum()})" for i, j in cells if wrong[i, j]]
    return f"most often confused: {', '.join(listed)}" if listed else ""


def firing_rates(rows: Sequence[Row]) -> "Figure":
    """Each layer's rate against the epoch on a logit axis, on which 0.1 % and 99.9 % are equally far from one half."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(name for row in rows for name in row if name.startswith("rate/")))
    lines = {name.removeprefix("rate/"): by_epoch(rows, name) for name in columns}
    if not lines:
        raise NothingToDraw("metrics.csv has no firing rates")
    figure = Figure(figsize=(6.8, min(max(3.6, 1.6 + 0.2 * len(lines)), 6.4)), layout="constrained")
    axes = figure.subplots()
    tidy(axes, "firing rate (non-zero outputs)")
    low, high = 2e-4, 1 - 2e-4
    axes.set_yscale("logit")
    axes.set_ylim(low, high)
    ticks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
    axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.set_yticks([], minor=True)
    for bottom, top, name in ((low, SILENT, "silent: below 0.1 %"), (SATURATED, high, "saturated: above 99 %")):
        axes.axhspan(bottom, top, color="#efefef", lw=0, zorder=0)
        axes.text(0.01, math.sqrt(bottom * top) if bottom == low else 1 - math.sqrt((1 - bottom) * (1 - top)), name, fontsize=8, color=GREY, va="center", transform=axes.get_yaxis_transform())
    named = chosen(len(lines), MOST_LABELS)
    for index, (layer, (epochs, rates)) in enumerate(lines.items()):
        colour = colormaps["viridis"](0.88 * index / max(len(lines) - 1, 1))
        shown = np.clip(rates, low * 1.15, 1 - 1.15 * low)
        axes.plot(epochs, shown, color=colour, lw=1.5, marker="o" if len(epochs) <= 30 else None, ms=3, label=layer if index in named else None)
    label_ends(axes, 8.5 if len(lines) <= 12 else 7)
    return figure


def chosen(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` indices, evenly spread, the first and the last among them."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, min(count, most)).round())]


def raster(spikes: Mapping[str, np.ndarray]) -> "Figure":
    """Spikes [T,neurons] by layer → a panel a layer: time to the right, neurons upwards, at most 200 evenly chosen."""
    from matplotlib.figure import Figure

    layers = {name: values for name, values in spikes.items() if values.size}
    if not layers:
        raise NothingToDraw("no spikes were recorded")
    columns = min(1 + (len(layers) - 1) // 6, 3)
    lines = math.ceil(len(layers) / columns)
    figure = Figure(figsize=(7.2 if columns == 1 else 4.4 * columns, 1.0 + 1.5 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    for index, (name, values) in enumerate(layers.items()):
        raster_panel(grid[index % lines, index // lines], name, values)
    for axes in grid.T.flat[len(layers) :]:
        axes.set_visible(False)
    figure.supxlabel("timestep", fontsize=10)
    figure.supylabel("neuron", fontsize=10)
    return figure


def raster_panel(axes: "Axes", name: str, values: np.ndarray) -> None:
    """One layer's outputs [T,neurons]: black for its largest, lighter for less, white for none."""
    timesteps, neurons = values.shape
    rows = chosen(neurons, MOST_NEURONS)
    largest = max(float(np.abs(values).max()), 1e-12)
    axes.imshow(
        np.abs(values[:, rows]).T / largest, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest",
        origin="lower", extent=(-0.5, timesteps - 0.5, -0.5, len(rows) - 0.5),
    )
    places = chosen(len(rows), 3)
    axes.set_yticks(places, [str(rows[place]) for place in places], fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    part = f"{len(rows)} of {neurons:,} neurons, evenly chosen" if len(rows) < neurons else f"{neurons} neurons"
    axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold")
    axes.set_title(f"{part} · {np.count_nonzero(values) / values.size:.1%} non-zero", loc="right", fontsize=8.5, color=GREY)
