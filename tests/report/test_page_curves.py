"""The curves of a report's page."""

from pathlib import Path

import numpy as np
import pytest
from reported_runs import METRICS, finished, right_answers

from membrane.report.page_curves import (
    MOST_HEALTH,
    health_columns,
    health_groups,
    read_table,
    row_curves,
    row_health,
    thinned,
)
from membrane.report.recorded import gather_runs
from membrane.report.rows import ReportRow, group_runs


def row_of(runs: Path) -> ReportRow:
    """The only row of a folder."""
    (row,) = group_runs(gather_runs([runs]).runs)
    return row


def test_a_curve_is_the_mean_over_seeds_in_the_epochs_that_all_have(tmp_path: Path) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    other = finished(tmp_path, "f0", 1, right_answers(0.6, 1))
    (other / "metrics.csv").write_text(
        METRICS.replace(",0.6,", ",0.8,").splitlines(keepends=True)[0]
        + "".join(line for line in METRICS.replace("1.2,0.6", "1.4,0.8").splitlines(keepends=True)[1:3])
    )
    curves = row_curves(row_of(tmp_path), 1)
    assert curves["val/acc"] == {"x": [0], "mean": [0.7], "low": [0.6], "high": [0.8]}
    assert curves["train/loss"]["mean"] == [1.5]


def test_one_seed_has_no_band_and_a_broken_table_no_curve(tmp_path: Path) -> None:
    folder = finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    assert row_curves(row_of(tmp_path), 1)["val/loss"] == {"x": [0, 1], "mean": [1.2, 0.8]}
    (folder / "metrics.csv").write_bytes(b"\xff\x00epoch")
    assert row_curves(row_of(tmp_path), 1) == {}
    assert read_table(folder / "none.csv") is None


def test_health_is_drawn_where_it_was_measured(tmp_path: Path) -> None:
    folder = finished(tmp_path, "f0", 0, right_answers(0.6, 0))
    assert row_health(row_of(tmp_path), 1) == {}
    (folder / "health.csv").write_text("epoch,step,silent/a,silent/b,gradient/a\n0,1,0.5,,2\n1,2,0.25,0.5,3\n")
    health = row_health(row_of(tmp_path), 1)
    assert health["silent/a"] == {"x": [0, 1], "mean": [0.5, 0.25]}
    assert health["silent/b"] == {"x": [1], "mean": [0.5]}
    assert health_groups(health) == ["silent", "gradient"]


@pytest.mark.parametrize("points", [2, 7, 300])
def test_a_long_curve_keeps_its_ends(points: int) -> None:
    values = np.arange(300.0)[None]
    curve = thinned(range(300), values, points)
    assert (curve["x"][0], curve["x"][-1], len(curve["x"])) == (0, 299, points)
    assert curve["mean"] == [float(x) for x in curve["x"]]


def test_each_kind_of_health_is_drawn_of_a_deep_net_too() -> None:
    layers = [f"layer{number}.n" for number in range(30)]
    columns = ["epoch", "step", *(f"silent/{layer}" for layer in layers), *(f"active/{layer}" for layer in layers)]
    columns += ["tau/layer0.n", "gradient/head"]
    drawn = health_columns(columns)
    room = MOST_HEALTH // 4
    assert drawn == [
        *(f"silent/{layer}" for layer in layers[:room]),
        *(f"active/{layer}" for layer in layers[:room]),
        "tau/layer0.n",
        "gradient/head",
    ]
    assert health_columns(["epoch", "step"]) == []
