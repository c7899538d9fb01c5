"""Drawings of a report's page, as the numbers that its template puts into SVG: intervals, and scores against costs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from membrane.report.columns import PERCENT, factor_of
from membrane.report.rows import ReportRow
from membrane.report.terminal import clock_text
from membrane.scores import score_of

WIDTH, HEIGHT = 320, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 34
STRIP = 100
"""The width of an interval's drawing."""
ALIKE = 1.02
"""Costs that differ by less than so much are not worth a drawing."""


@dataclass(frozen=True)
class Strip:
    """An interval's drawing: pixels of its ends, its mean, each seed, and the baseline's mean, which may be None."""

    low: float
    high: float
    mean: float
    seeds: tuple[float, ...]
    baseline: float | None


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in pixels, and what stands there."""

    place: float
    text: str


@dataclass(frozen=True)
class Point:
    """A row of a scatter: its pixels, number and name, its costs and score as text, and whether none is better."""

    x: float
    y: float
    number: int
    name: str
    text: str
    best: bool


@dataclass(frozen=True)
class Scatter:
    """Scores against a cost: points, ticks, and the line through those that no other beats in both."""

    title: str
    points: tuple[Point, ...]
    line: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def interval_strips(rows: Sequence[ReportRow], score: str) -> list[Strip | None]:
    """Return the drawing of each row's score, all on one axis, from the lowest to the highest seed or Wilson end."""
    summaries = [row.metrics.get(score) for row in rows]
    ends = [value for summary in summaries if summary for value in summary.values]
    ends += [end for row, summary in zip(rows, summaries, strict=True) if summary and row.wilson for end in row.wilson]
    if not ends:
        return [None] * len(rows)
    low, high = min(ends), max(ends)
    room = (high - low) * 0.06 or abs(high) * 0.01 or 1.0

    def place(value: float) -> float:
        return round(STRIP * (min(max(value, low - room), high + room) - low + room) / (high - low + 2 * room), 1)

    baselines = [summary for row, summary in zip(rows, summaries, strict=True) if row.is_baseline and summary]
    line = place(baselines[0].mean) if len(baselines) == 1 else None
    strips: list[Strip | None] = []
    for row, summary in zip(rows, summaries, strict=True):
        if summary is None:
            strips.append(None)
            continue
        first, last = summary.interval or row.wilson or (summary.mean, summary.mean)
        strips.append(Strip(place(first), place(last), place(summary.mean), tuple(map(place, summary.values)), line))
    return strips


def cost_scatters(rows: Sequence[ReportRow], score: str) -> list[Scatter]:
    """Return the score against time, parameters and passes, those in which rows differ."""
    costs: list[tuple[str, Callable[[ReportRow], float | None], Callable[[float], str]]] = [
        ("fit time", lambda row: row.fit_seconds, clock_text),
        ("parameters", lambda row: row.parameters, short_count),
        ("passes per sample", lambda row: row.passes, lambda value: f"{value:.0f}"),
    ]
    scatters = []
    for title, cost, text in costs:
        known = [(number, row, cost(row)) for number, row in enumerate(rows) if score in row.metrics]
        placed = [(number, row, value) for number, row, value in known if value]
        values = [value for _, _, value in placed]
        if values and max(values) > ALIKE * min(values):
            scatters.append(scatter(title, placed, score, text))
    return scatters


def scatter(
    title: str, placed: Sequence[tuple[int, ReportRow, float]], score: str, text: Callable[[float], str]
) -> Scatter:
    """Return the drawing of (number, row, cost), the cost on a logarithmic axis."""
    logs = [math.log(cost) for _, _, cost in placed]
    means = [factor_of(score) * row.metrics[score].mean for _, row, _ in placed]
    across, up = axis(min(logs), max(logs), LEFT, WIDTH - RIGHT), axis(min(means), max(means), HEIGHT - BOTTOM, TOP)
    lower = score_of(score).lower_is_better
    best = unbeaten([(cost, mean if lower else -mean) for (_, _, cost), mean in zip(placed, means, strict=True)])
    points = []
    for place, ((number, row, cost), mean) in enumerate(zip(placed, means, strict=True)):
        told = f"{text(cost)}, {mean:.2f}{' %' if factor_of(score) == PERCENT else ''}"
        name = ", ".join(row.shown.values())
        points.append(Point(across(logs[place]), up(mean), number, name, told, place in best))
    joined = sorted((points[each] for each in best), key=lambda each: each.x)
    line = " ".join(f"{point.x},{point.y}" for point in joined)
    ticks = tuple(Tick(across(math.log(value)), text(value)) for value in round_logs(min(logs), max(logs)))
    heights = tuple(Tick(up(value), f"{value:g}") for value in round_values(min(means), max(means)))
    return Scatter(title, tuple(points), line, ticks, heights)


def axis(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the function from values to pixels, with a margin at both ends."""
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return lambda value: round(start + (end - start) * (value - low + room) / (high - low + 2 * room), 1)


def unbeaten(points: Sequence[tuple[float, float]]) -> set[int]:
    """Return which of (cost, loss) no other point beats in one without losing in the other."""
    order = sorted(range(len(points)), key=lambda each: points[each])
    best, kept = math.inf, set()
    for each in order:
        if points[each][1] < best:
            best = points[each][1]
            kept.add(each)
    return kept


def round_values(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two, a few of them; the lower one where they are equal."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, math.floor(high / step + 1e-9) + 1)]


def round_logs(low: float, high: float) -> list[float]:
    """Return values for ticks of a logarithmic axis between two logarithms: both ends, and between them."""
    count = 2 if high - low < 1 else 3 if high - low < 4 else 4
    return [math.exp(low + (high - low) * part / (count - 1)) for part in range(count)]


def short_count(value: float) -> str:
    """Return 20538 as ``20.5 k``, 11200000 as ``11.2 M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"
