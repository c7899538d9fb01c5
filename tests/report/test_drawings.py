"""The numbers of a page's drawings."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from reported_runs import study

from membrane.report.drawings import (
    LEFT,
    RIGHT,
    STRIP,
    WIDTH,
    axis,
    cost_scatters,
    interval_strips,
    round_values,
    short_count,
    unbeaten,
)
from membrane.report.recorded import gather_runs
from membrane.report.rows import group_runs


def test_strips_share_an_axis_on_which_pixels_go_with_values(tmp_path: Path) -> None:
    rows = group_runs(gather_runs([study(tmp_path)]).runs)
    rows[0].is_baseline = True
    strips = [strip for strip in interval_strips(rows, "test/acc") if strip]
    values = [value for row in rows for value in row.metrics["test/acc"].values]
    pixels = [pixel for strip in strips for pixel in strip.seeds]
    slope, start = np.polyfit(values, pixels, 1)
    assert np.allclose(np.polyval([slope, start], values), pixels, atol=0.06)
    assert all(0 <= end <= STRIP for strip in strips for end in (strip.low, strip.high))
    assert {strip.baseline for strip in strips} == {strips[0].mean}


def test_a_score_that_no_row_has_is_no_strip(tmp_path: Path) -> None:
    assert interval_strips(group_runs(gather_runs([study(tmp_path)]).runs), "test/mae") == [None] * 3


def test_an_axis_has_a_margin_of_8_percent_at_both_ends() -> None:
    place = axis(0, 100, 10, 126)  # from −8 to 108 on 116 pixels
    assert [place(value) for value in (-8, 0, 50, 100, 108)] == [10, 18, 68, 118, 126]
    assert [axis(value, value, 30, 10)(value) for value in (5.0, 0.0)] == [20, 20]


def test_only_costs_that_differ_are_drawn_and_no_other_row_beats_those_on_the_line(tmp_path: Path) -> None:
    rows = group_runs(gather_runs([study(tmp_path)]).runs)
    (passes,) = cost_scatters(rows, "test/acc")
    assert passes.title == "passes per sample"
    assert {point.name: point.best for point in passes.points} == {"lif": False, "plif": False, "relu": True}
    assert all(LEFT < point.x < WIDTH - RIGHT for point in passes.points)


@pytest.mark.parametrize("seed", range(5))
def test_what_no_other_beats_is_what_comparing_all_pairs_says(seed: int) -> None:
    points = [tuple(map(float, each)) for each in np.random.default_rng(seed).integers(0, 6, (12, 2))]
    points = list(dict.fromkeys(points))

    def beaten(one: tuple[float, ...]) -> bool:
        return any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in points)

    assert unbeaten([(a, b) for a, b in points]) == {place for place, each in enumerate(points) if not beaten(each)}


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (89.4, 90.1), (-3.0, 1200.0), (1e-6, 3e-6)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_values(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    steps = [after - tick for tick, after in itertools.pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert f"{steps[0]:e}"[0] in "125"


def test_counts_are_short() -> None:
    assert [short_count(each) for each in (12, 20538, 11_200_000, 3e9)] == ["12", "20.5 k", "11.2 M", "3 G"]
