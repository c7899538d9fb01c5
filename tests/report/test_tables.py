"""The table of results against hand-made rows and SciPy's Wilson interval."""

import pytest
from scipy.stats import binomtest
from tables import cells

from membrane.report.tables import results_table, wilson_half_width


def test_metrics_stand_by_part_with_intervals_of_counted_proportions() -> None:
    metrics = {
        "val/loss": 0.25,
        "val/acc": 0.95,
        "test/loss": 0.5,
        "test/acc": 0.9,
        "test/balanced_acc": 0.88,
        "test_last/acc": 0.85,
        "test/mae": 0.123456,
    }
    table = results_table(metrics, samples={"val": 200, "test": 100})
    assert [str(column.header) for column in table.columns] == ["metric", "val", "test", "test_last"]
    rows = cells(table)
    assert rows["loss"] == ["0.2500", "0.5000"]
    assert rows["balanced_acc"] == ["88.00 %"]
    assert rows["mae"] == ["0.1235"]
    for shown, (correct, samples) in zip(rows["acc"], [(190, 200), (90, 100), (85, 100)], strict=True):
        interval = binomtest(correct, samples).proportion_ci(0.95, method="wilson")
        half = 100 * (interval.high - interval.low) / 2
        assert shown == f"{100 * correct / samples:.2f} ± {half:.2f} %"


def test_without_sizes_an_accuracy_has_no_interval() -> None:
    assert cells(results_table({"test/acc": 0.5}))["acc"] == ["50.00 %"]


def test_the_interval_is_explained_where_there_is_one() -> None:
    assert "half of the 95 % interval" in str(results_table({"test/acc": 0.5}, {"test": 100}).caption)
    assert results_table({"test/acc": 0.5}).caption is None
    assert results_table({"test/mae": 0.5}, {"test": 100}).caption is None


@pytest.mark.parametrize("correct", [0, 1, 37, 50])
def test_wilson_half_width_is_scipys(correct: int) -> None:
    interval = binomtest(correct, 50).proportion_ci(0.95, method="wilson")
    assert wilson_half_width(correct / 50, 50) == pytest.approx((interval.high - interval.low) / 2, abs=1e-6)
