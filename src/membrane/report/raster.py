"""The figure of spikes over time, a panel for each layer."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from membrane.report.panels import DPI, label_all, panels, place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NEURONS = 200
"""Rows of a panel: more would be smaller than a dot at 150 dpi."""
DOT = (0.7, 3.2)
"""Smallest and largest diameter of a dot, in points."""


def raster(spikes: Mapping[str, np.ndarray]) -> "Figure":
    """Spikes [T,neurons] by layer → a panel for each: time to the right, neurons upwards, at most 200 of a layer."""
    columns = min(1 + (len(spikes) - 1) // 6, 3)
    lines = math.ceil(len(spikes) / columns)
    figure, grid = panels(6.5 if columns == 1 else 3.7, 1.45, lines=lines, columns=columns, across=0.7)
    ordered = grid.T.ravel()
    for index, (axes, (name, values)) in enumerate(zip(ordered, spikes.items(), strict=False)):
        raster_panel(axes, name, values)
        lowest = index % lines == lines - 1 or index == len(spikes) - 1
        axes.tick_params(labelsize=8, labelbottom=lowest)
    for axes in ordered[len(spikes) :]:
        axes.set_visible(False)
    capped = any(values.shape[1] > MOST_NEURONS for values in spikes.values())
    neuron = f"neuron (at most {MOST_NEURONS} of a layer, evenly chosen)" if capped else "neuron"
    label_all(figure, grid, "timestep", neuron)
    return figure


def raster_panel(axes: "Axes", name: str, values: np.ndarray) -> None:
    """Draw a dot for each non-zero output of a layer [T,neurons]: black the largest, lighter the smaller ones."""
    from matplotlib.ticker import MaxNLocator

    timesteps, neurons = values.shape
    rows = evenly_spaced(neurons, MOST_NEURONS)
    size = np.abs(values[:, rows]).astype(float)
    step, row = np.nonzero(size)
    width, height = (72 * extent / DPI for extent in axes.bbox.size)
    diameter = float(np.clip(0.8 * min(width / timesteps, 4 * height / len(rows)), *DOT))  # few overlap
    axes.scatter(
        step,
        row,
        s=diameter**2,
        c=size[step, row] / max(np.abs(values).max(initial=0.0), 1e-12),
        cmap="Greys",
        vmin=-0.5,  # the smallest are grey, for white ones could not be seen
        vmax=1,
        linewidths=0,
        clip_on=False,
    )
    axes.set(xlim=(-0.5, timesteps - 0.5), ylim=(-0.5, len(rows) - 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    ticks = evenly_spaced(len(rows), 3)
    axes.set_yticks(ticks, [f"{rows[tick]:,}" for tick in ticks])
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    shown = f"{len(rows)} of {neurons:,}" if len(rows) < neurons else str(neurons)
    rate = 100 * np.count_nonzero(values) / max(values.size, 1)
    place_labels(axes)
    axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold", y=1)
    axes.set_title(f"{shown} neurons, {rate:.1f} % non-zero", loc="right", fontsize=8.5, color="dimgrey", y=1)


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` indices, evenly spaced, with the first and the last."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, min(count, most)).round())]
