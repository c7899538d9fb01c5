"""Figures over the epochs of a run: learning curves and firing rates."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from membrane.report.panels import panels, place_labels, width_of
from membrane.report.raster import evenly_spaced
from membrane.scores import PRINCIPAL, SATURATED, SCORES, SILENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TableRow = Mapping[str, float]
Line = tuple[np.ndarray, np.ndarray]  # epochs [e], values [e]
Best = tuple[int, str]  # an epoch, and the score by which it is best

TRAINED, MEASURED = "#0072B2", "#D55E00"
SHOWN = ("loss", *PRINCIPAL.values())
MOST_LINES = 12
"""Layers up to which lines can be told apart; above, the rates are drawn as a map."""
MOST_NAMES = 60
"""Layers that are named beside a map."""


class NothingToDraw(ValueError):
    """A figure's data are missing; the message says which, in one line."""


def by_epoch(rows: Sequence[TableRow], column: str) -> Line:
    """Return the column's mean in each epoch with a finite value, rows weighted by the steps since the row before.

    So the rest of an epoch, after the last full ``log_every`` steps, weighs as much as the steps that it has.
    """
    cells: dict[int, list[tuple[float, float]]] = {}
    before = 0.0
    for row in rows:
        if column in row:
            step = row.get("step", before + 1)
            weight, before = step - before, step
            if np.isfinite(row[column]):
                cells.setdefault(int(row["epoch"]), []).append((row[column], max(weight, 1.0)))
    epochs = sorted(cells)
    means = [
        np.average([value for value, _ in each], weights=[w for _, w in each]) for _, each in sorted(cells.items())
    ]
    return np.array(epochs, dtype=int), np.array(means, dtype=float)


def learning_curves(rows: Sequence[TableRow], best: Best | None = None) -> "Figure":
    """Draw loss and the task's score against the epoch (from 0, as in metrics.csv), of training and validation.

    ``best`` is marked: the epoch whose checkpoint was kept, and the score that selected it. Where the test set was
    measured after every epoch, its best one is. Raises NothingToDraw if the rows have neither loss nor score.
    """
    part = "oracle" if any("oracle/loss" in row for row in rows) else "val"
    parts = ("train", part)
    curves = {metric: {name: by_epoch(rows, f"{name}/{metric}") for name in parts} for metric in SHOWN}
    shown = [metric for metric, lines in curves.items() if any(len(epochs) for epochs, _ in lines.values())]
    if not shown:
        raise NothingToDraw("metrics.csv has no loss and no accuracy yet")
    figure, axes_of = panels(3.8, 2.7, columns=len(shown))
    if part == "oracle":
        best = best_of_oracle({metric: lines[part] for metric, lines in curves.items()})
    for axes, metric in zip(axes_of[0], shown, strict=True):
        for colour, style, (name, line) in zip((TRAINED, MEASURED), ("--", "-"), curves[metric].items(), strict=True):
            plot(axes, line, colour, name, style)  # told apart in grey too
        over_epochs(axes, SCORES[metric].title)
        scale_values(axes, metric, np.concatenate([values for _, values in curves[metric].values()]))
        if best is not None:
            epoch, score = best
            mark_best(axes, epoch, f"best epoch {epoch} by {score}: {part}", metric, curves[metric][part])
        label_ends(axes, 9.5)
    return figure


def plot(axes: "Axes", line: Line, colour: Any, name: str, style: str = "-") -> None:
    """Draw a line over epochs, with dots up to 40 of them."""
    if len(line[0]):
        marker = "o" if len(line[0]) <= 40 else ""
        axes.plot(*line, color=colour, lw=1.8, ls=style, marker=marker, ms=3.5, label=name)


def over_epochs(axes: "Axes", title: str) -> None:
    """Style a panel over epochs: its title above, two spines, a faint grid."""
    from matplotlib.ticker import MaxNLocator

    place_labels(axes)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", y=1)
    axes.set_xlabel("epoch")
    axes.margins(x=0.02)
    if np.ptp(axes.get_xlim()) < 1:
        axes.set_xlim(-0.5, 0.5)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def scale_values(axes: "Axes", metric: str, values: np.ndarray) -> None:
    """Show fractions in percent, and values that span a factor of more than 30 on a logarithmic axis."""
    from matplotlib.ticker import LogLocator, NullLocator

    if SCORES[metric].percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    elif 0 < 30 * values.min() < values.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if values.max() < 1000 * values.min() else (1.0,)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def best_of_oracle(lines: Mapping[str, Line]) -> Best | None:
    """Return the epoch that was best on the test set by the task's score, the last of equals; None without scores."""
    for score in PRINCIPAL.values():
        epochs, values = lines[score]
        if len(epochs):
            return int(max(zip(-values if SCORES[score].lower_is_better else values, epochs, strict=True))[1]), score
    return None


def mark_best(axes: "Axes", best: int, title: str, metric: str, line: Line) -> None:
    """Draw a vertical line at the best epoch and a ring around its value, and write the value above the panel."""
    axes.axvline(best, color="dimgrey", lw=0.8, ls=":", zorder=0)
    for value in line[1][line[0] == best]:
        axes.plot(best, value, "o", ms=8, mfc="none", mec=MEASURED, mew=1.3)
        shown = f"{100 * value:.1f} %" if SCORES[metric].percent else f"{value:.3g}"
        axes.set_title(f"{title} {shown}", loc="right", fontsize=8, color="dimgrey", y=1)


def label_ends(axes: "Axes", size: float) -> None:
    """Write each labelled line's name beside its last value, moved apart if names would touch."""
    axes.get_ylim()  # matplotlib computes the limits only now, and the ends depend on them
    to_axes = axes.transData + axes.transAxes.inverted()
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    ends = [float(to_axes.transform((0.0, np.asarray(line.get_ydata(), dtype=float)[-1]))[1]) for line in named]
    gap = 1.3 * size * axes.figure.dpi / 72 / axes.bbox.height
    for line, end, height in zip(named, ends, apart(ends, gap), strict=True):
        style: dict[str, Any] = {"color": line.get_color(), "transform": axes.transAxes}
        axes.plot([1.005, 1.03], [end, height], lw=0.7, clip_on=False, **style)
        axes.text(1.04, height, str(line.get_label()), fontsize=size, va="center", **style)


def apart(positions: Sequence[float], gap: float) -> list[float]:
    """Return the nearest positions in [0,1] (least squares) in the same order with a gap between neighbours.

    It is the isotonic regression of the positions less their rank times the gap.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    highest = max(0.0, 1 - gap * (len(order) - 1))
    levels = isotonic([positions[index] - rank * gap for rank, index in enumerate(order)])
    moved = {index: min(max(levels[rank], 0.0), highest) + rank * gap for rank, index in enumerate(order)}
    return [moved[index] for index in range(len(positions))]


def isotonic(values: Sequence[float]) -> list[float]:
    """Return the nearest non-decreasing values (least squares), by the max-min formula.

    Its cubic time does not matter for a dozen labels; scikit-learn's would cost every run half a second to import.
    """
    ends = range(1, len(values) + 1)
    return [
        max(min(fmean(values[first:end]) for end in ends if end > rank) for first in range(rank + 1))
        for rank in range(len(values))
    ]


def firing_rates(rows: Sequence[TableRow]) -> "Figure":
    """Draw every layer's rate against the epoch: lines for up to 12 layers, else a map with a row for each.

    Raises NothingToDraw if the rows have no rates.
    """
    columns = dict.fromkeys(name for row in rows for name in row if name.startswith("rate/"))
    rates = {name.removeprefix("rate/"): by_epoch(rows, name) for name in columns}
    lines = {layer: line for layer, line in rates.items() if len(line[0])}
    if not lines:
        raise NothingToDraw("metrics.csv has no firing rates")
    return rate_lines(lines) if len(lines) <= MOST_LINES else rate_map(lines)


def rate_lines(lines: Mapping[str, Line]) -> "Figure":
    """Draw rates on a logit axis, on which 0.1 % and 99.9 % are equally far from one half; early layers are dark."""
    from matplotlib import colormaps

    figure, [[axes]] = panels(5.5, 3.3, margin=width_of(lines))
    low, high = 2e-4, 1 - 2e-4
    colours = colormaps["plasma"](np.linspace(0, 0.72, len(lines)))
    for colour, (layer, (epochs, rates)) in zip(colours, lines.items(), strict=True):
        plot(axes, (epochs, np.clip(rates, 1.4 * low, 1 - 1.4 * low)), colour, layer)
    over_epochs(axes, f"{SCORES['rate'].title} (non-zero outputs)")
    axes.set_yscale("logit")
    axes.set_ylim(low, high)
    ticks = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.axhspan(low, SILENT, color="#efefef", lw=0, zorder=0)
    axes.axhspan(SATURATED, high, color="#efefef", lw=0, zorder=0)
    style: dict[str, Any] = {"fontsize": 8, "color": "dimgrey", "ha": "right", "transform": axes.get_yaxis_transform()}
    axes.text(0.99, 0.85 * SILENT, "silent", va="top", **style)
    axes.text(0.99, 1 - 0.85 * (1 - SATURATED), "saturated", va="bottom", **style)
    label_ends(axes, 8.5)
    return figure


def rate_map(lines: Mapping[str, Line]) -> "Figure":
    """Draw rates as colours, a row for each layer, the first on top; silent and saturated ones leave the scale."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    epochs = sorted({int(epoch) for line in lines.values() for epoch in line[0]})
    rates = np.full((len(lines), epochs[-1] + 1), np.nan)
    for row, (at, values) in enumerate(lines.values()):
        rates[row, at] = np.maximum(values, SILENT / 10)
    figure, [[axes]] = panels(5.0, min(0.6 + 0.17 * len(lines), 8.2), margin=width_of(lines))
    colours = colormaps["viridis"].with_extremes(under="#c9c9c9", over="#D55E00", bad="white")
    norm = LogNorm(SILENT, SATURATED)
    picture = axes.imshow(rates, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
    over_epochs(axes, f"{SCORES['rate'].title} (non-zero outputs)")
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    labelled = evenly_spaced(len(lines), MOST_NAMES)
    axes.set_yticks(labelled, [list(lines)[row] for row in labelled], fontsize=7.5)
    axes.grid(visible=False)
    beside = axes.inset_axes((1.03, 0.0, 0.03, 1.0))
    bar = figure.colorbar(picture, cax=beside, extend="both", extendfrac=0.05)
    bar.ax.yaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    bar.ax.tick_params(labelsize=8)
    bar.ax.set_title("saturated", fontsize=8)
    bar.ax.set_xlabel("silent", fontsize=8, labelpad=14)
    return figure
