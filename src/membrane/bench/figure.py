"""The benchmark's figures: bars with the floor as a line, or lines over a swept axis."""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

from membrane.bench.peers import CHANNELS_LAST
from membrane.bench.record import Case, Timing, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"ours": "#0072B2", "peer": "#999999", "floor": "#D55E00"}
LINES = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#555555", "#D55E00")
PRECISION_STYLES = {"fp32": ("-", 1.0), CHANNELS_LAST: ("--", 0.75), "bf16": (":", 0.5)}
"""Precision → dashes of a line, opacity of a bar."""
ACROSS = 2


def bench_panels(count: int, height: float) -> tuple["Figure", "list[Axes]"]:
    """Create a figure of so many panels of that height in inches, two in a row."""
    from matplotlib.figure import Figure

    across = min(count, ACROSS)
    down = ceil(count / across)
    figure = Figure(figsize=(6.4 * across, height * down), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for each in axes[count:]:
        each.remove()
    return figure, axes[:count]


def bar_figure(cases: Sequence[Case]) -> "Figure":
    """Draw a panel for each case: a bar with quartiles for each peer and precision, and the floors as lines."""
    figure, axes = bench_panels(len(cases), 3.6)
    for panel, case in zip(axes, cases, strict=True):
        draw_bars(panel, case)
    return figure


def draw_bars(axes: "Axes", case: Case) -> None:
    """Draw the panel of one case."""
    shown = [each for each in case.timings if each.role != "floor"]
    for position, timing in enumerate(shown):
        milliseconds = spread([1000 * value for value in timing.seconds])
        _, opacity = PRECISION_STYLES[timing.precision]
        middle = milliseconds.middle
        error = [[middle - milliseconds.low], [milliseconds.high - middle]]
        style = {"color": COLOURS[timing.role], "alpha": opacity, "error_kw": {"lw": 1, "ecolor": "#333333"}}
        axes.barh(position, middle, xerr=error, **style)  # type: ignore[arg-type]
    for timing in case.timings:
        if timing.role == "floor":
            style = {"ls": PRECISION_STYLES[timing.precision][0], "color": COLOURS["floor"], "lw": 1.5}
            name = f"{timing.peer}, {timing.precision}"
            axes.axvline(1000 * median(timing.seconds), label=name, **style)  # type: ignore[arg-type]
    axes.set_yticks(range(len(shown)), [each.label for each in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_title(f"{case.workload.name}: {case.workload.setting}", loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("ms a step", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if any(each.role == "floor" for each in case.timings):
        axes.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98))


def line_figure(cases: Sequence[Case], axis: str) -> "Figure":
    """Draw a panel for each workload: ms a step over the swept axis, both logarithmic."""
    groups = [list(group) for _, group in groupby(cases, key=lambda case: case.workload.name)]
    figure, axes = bench_panels(len(groups), 4.2)
    for panel, group in zip(axes, groups, strict=True):
        draw_lines(panel, group, axis)
    return figure


def draw_lines(axes: "Axes", cases: Sequence[Case], axis: str) -> None:
    """Draw the panel of one workload."""
    labels = dict.fromkeys(timing.label for case in cases for timing in case.timings)
    peers = list(dict.fromkeys(timing.peer for case in cases for timing in case.timings))
    for name in labels:
        points: list[tuple[float, Timing]] = [
            (getattr(case.workload, axis), timing) for case in cases for timing in case.timings if timing.label == name
        ]
        first = points[0][1]
        colour = COLOURS["floor"] if first.role == "floor" else LINES[peers.index(first.peer) % (len(LINES) - 1)]
        dashes, _ = PRECISION_STYLES[first.precision]
        values = [1000 * median(timing.seconds) for _, timing in points]
        axes.plot([value for value, _ in points], values, dashes, color=colour, marker="o", ms=3, lw=1.5, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(axis, fontsize=9)
    axes.set_ylabel("ms a step", fontsize=9)
    axes.set_title(cases[0].workload.name, loc="left", fontsize=10, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
