"""Tables: ratios and medians of given numbers."""

import json
from dataclasses import asdict, replace

import pytest

from membrane.bench.figure import bar_figure, line_figure
from membrane.bench.record import Case, Spread, Timing, WholeRun, ratio, spread
from membrane.bench.report import bench_report
from membrane.bench.workloads import WORKLOADS

W1, W2 = WORKLOADS[:2]
CASE = Case(
    W1,
    [
        Timing("membrane multistep", "ours", "fp32", [0.6, 1.2, 0.6]),
        Timing("membrane multistep", "ours", "bf16", [0.2, 0.4, 0.2], memory=2_000_000),
        Timing("SpikingJelly multi-step", "peer", "fp32", [0.8, 1.6, 1.0]),
        Timing("SpikingJelly multi-step", "peer", "bf16", [0.1, 0.1, 0.1]),
        Timing("snnTorch", "peer", "fp32", [0.9, 1.8, 0.9]),
        Timing("ReLU on T·N images", "floor", "fp32", [0.5, 1.0, 0.6]),
        Timing("ReLU on T·N images", "floor", "bf16", [0.2, 0.4, 0.2]),
    ],
    {"Norse, fp32": "out of memory"},
)


def cells(text: str, name: str, precision: str) -> list[str]:
    """A row of the table."""
    for line in text.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if cells[:2] == [name, precision]:
            return cells[2:]
    raise AssertionError(f"no row for {name}, {precision} in {text}")


def test_a_spread_is_the_median_and_its_quartiles() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


def test_ratios_are_taken_round_by_round() -> None:
    """One round in which everything was twice as slow does not show."""
    ours, floor = CASE.timings[0], CASE.floor("fp32")
    ratios = ratio(ours, floor)
    assert ratios is not None
    assert (ratios.middle, ratios.low, ratios.high) == pytest.approx((1.2, 1.1, 1.2))
    assert ratio(ours, None) is None


def test_the_best_peer_is_the_fastest_in_fp32() -> None:
    best = CASE.best_peer()
    assert best is not None
    assert best.peer == "snnTorch"  # 0.9 against 1.0; bf16, ours and the floor do not count
    last = Timing("SpikingJelly multi-step", "peer", "fp32 channels last", [0.8, 0.8, 0.8])
    assert Case(W1, [*CASE.timings, last]).best_peer() is last
    assert Case(W1, [CASE.timings[0]]).best_peer() is None


def test_a_row_says_time_ratios_and_rate() -> None:
    text = bench_report({"processor": "one"}, [CASE], None)
    ours, bf16 = cells(text, "membrane multistep", "fp32"), cells(text, "membrane multistep", "bf16")
    assert ours == ["600", "600–900", "0.67 (0.67–0.67)", "1.20 (1.10–1.20)", "53", "–"]
    assert bf16 == ["200", "200–300", "0.22 (0.22–0.22)", "1.00 (1.00–1.00)", "160", "2"]
    assert "| processor | one |" in text
    assert "T 4, batch 32; 3 rounds" in text
    assert "Left out: Norse, fp32 (out of memory)." in text
    assert "snnTorch passes no gradient through the reset" in text
    assert "SuperSpike" not in text  # Norse has no row


def test_what_stands_in_the_columns_of_ratios_is_explained_below() -> None:
    notes = bench_report({"commit": "fe2c4e49d08f+"}, [CASE], None).rpartition("|")[2]
    assert all(
        each in notes for each in ("The best peer is", "The floor is", "in parentheses are", "A plus behind the")
    )


def test_memory_has_a_column_only_where_it_was_measured() -> None:
    timings = [replace(timing, memory=None) for timing in CASE.timings]
    text = bench_report({}, [replace(CASE, timings=timings)], None)
    assert len(cells(text, "membrane multistep", "bf16")) == 5
    assert "peak MB" not in text


def test_a_sweep_is_one_table_a_workload() -> None:
    longer = replace(W1, timesteps=8)
    timings = [replace(timing, seconds=[2 * value for value in timing.seconds]) for timing in CASE.timings[:-1]]
    text = bench_report({}, [CASE, Case(longer, timings), replace(CASE, workload=W2)], None, "timesteps")
    assert text.count("\n## ") == 2
    assert "|  | precision | T 4 | T 8 |" in text
    assert cells(text, "membrane multistep", "fp32") == ["600", "1200"]
    assert cells(text, "ReLU on T·N images", "bf16") == ["200", "–"]
    ratios = text.split("× floor by timesteps")[1]
    assert cells(ratios, "membrane multistep", "fp32") == ["1.20 (1.10–1.20)"] * 2


def test_the_whole_run_has_a_table_of_its_own() -> None:
    text = bench_report({}, [], WholeRun([5.0, 7.0, 6.0], [20.0, 22.0, 21.0], [9.0, 9.0, 9.5]))
    assert "| from the command to the first optimiser step | 6.00 | 5.00–7.00 |" in text
    assert "| `fit_seconds` | 9.00 | 9.00–9.50 |" in text


def test_numbers_survive_json() -> None:
    assert Case.from_json(json.loads(json.dumps(asdict(CASE)))) == CASE


def test_bars_have_the_floors_drawn_in() -> None:
    figure = bar_figure([CASE, replace(CASE, workload=W2)])
    axes = figure.axes
    assert [each.get_title(loc="left") for each in axes] == ["W1: T 4, batch 32", "W2: T 16, batch 4"]
    assert [bar.get_width() for bar in axes[0].patches] == pytest.approx([600, 200, 1000, 100, 900])
    floors = [list(line.get_xdata()) for line in axes[0].get_lines() if line.get_color() == "#D55E00"]
    assert floors == [[600.0] * 2, [200.0] * 2]


def test_lines_go_over_what_was_swept() -> None:
    figure = line_figure([CASE, replace(CASE, workload=replace(W1, timesteps=8))], "timesteps")
    [axes] = figure.axes
    curves = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}
    assert len(curves) == len(CASE.timings)
    assert curves["snnTorch, fp32"] == ([4, 8], pytest.approx([900, 900]))
