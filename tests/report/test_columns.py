"""The cells of a report's table, by hand."""

from pathlib import Path

import pytest
from reported_runs import finished, right_answers, study

from membrane.report.columns import (
    NOTHING,
    difference_cell,
    interval_cell,
    lay_out,
    mean_cell,
    p_text,
    seeds_cell,
    verdict_cell,
    wilson_cell,
)
from membrane.report.differences import compare_rows
from membrane.report.recorded import gather_runs
from membrane.report.rows import ReportRow, Summary, group_runs


def rows_of(runs: Path, **baseline: str) -> dict[str, ReportRow]:
    """Return the rows of a folder by neuron, compared with a baseline if there is one."""
    rows = group_runs(gather_runs([runs]).runs)
    if baseline:
        compare_rows(rows, baseline)
    return {row.settings["neuron"]: row for row in rows}


@pytest.mark.parametrize(
    ("name", "mean", "std", "cell"),
    [
        ("test/acc", 0.898149, 0.001249, "89.81 ± 0.12"),
        ("test/acc", 0.898149, None, "89.81"),
        ("test/mae", 3.14159265, 0.00271828, "3.1416 ± 0.0027"),
        ("test/unknown", -0.00004, None, "-0.0000"),
    ],
)
def test_a_mean_has_two_decimals_of_percent_or_four(name: str, mean: float, std: float | None, cell: str) -> None:
    assert mean_cell(name, Summary(mean, std, None, (mean,))) == cell
    assert mean_cell(name, None) == NOTHING


def test_intervals_are_written_as_the_score_is() -> None:
    assert interval_cell("test/acc", (0.89496, 0.901249)) == "[89.50, 90.12]"
    assert interval_cell("test/mae", (-0.5, 1.23456)) == "[-0.5000, 1.2346]"
    assert interval_cell(None, (0.5, 1.0)) == "[0.5000, 1.0000]"
    assert interval_cell("test/acc", None) == NOTHING


@pytest.mark.parametrize(("p", "text"), [(0.0, "<0.001"), (0.00099, "<0.001"), (0.001, "0.001"), (0.0416, "0.042")])
def test_a_small_p_is_below_a_thousandth(p: float, text: str) -> None:
    assert p_text(p) == text


def test_a_difference_is_signed_and_the_baseline_has_none(tmp_path: Path) -> None:
    runs = study(tmp_path)
    finished(runs, "f3", 7, right_answers(0.6, 0), {"neuron": {"_target_": "theirs.Mine"}})
    rows = rows_of(runs, neuron="relu")
    cells = {name: (difference_cell(row), verdict_cell(row)) for name, row in rows.items()}
    # of 200 samples and 3 seeds LIF is right in 360, the ANN twin in 529: 169 of 600
    assert cells["lif"] == ("-28.17 [-33.87, -22.47]", "worse")
    assert (cells["relu"], cells["Mine"]) == (("", "baseline"), (NOTHING, NOTHING))
    assert difference_cell(rows_of(runs)["lif"]) == NOTHING


def test_intervals_without_a_score_or_with_one_seed_are_nothing(tmp_path: Path) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    finished(tmp_path, "f1", 0, right_answers(0.6, 0), {"neuron": {"_target_": "theirs.Mine"}}, {"metrics": {}})
    rows = rows_of(tmp_path)
    assert (seeds_cell(rows["lif"]), seeds_cell(rows["Mine"]), wilson_cell(rows["Mine"])) == (NOTHING,) * 3
    # scipy's binomtest(123, 200) by Wilson's method
    assert wilson_cell(rows["lif"]) == "[54.60, 67.97]"
    columns = {column.title: column.cells for column in lay_out(list(rows.values())).columns}
    assert columns["parameters"] == ("1,234", "1,234")
    assert columns["fit time"] == ("1:00", "1:00")
