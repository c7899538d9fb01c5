"""A page's curves over timesteps and of early exit."""

import json
from pathlib import Path
from typing import Any

import pytest
from reported_runs import finished, right_answers

from membrane.report.page_anytime import row_anytime
from membrane.report.recorded import gather_runs
from membrane.report.rows import group_runs


def measured(runs: Path, seed: int, content: Any) -> None:
    """Write a run with a measurement at every number of timesteps."""
    folder = finished(runs, "f0", seed, right_answers(0.6, seed)) / "evaluations"
    folder.mkdir()
    (folder / "0123456789ab.anytime.json").write_text(json.dumps(content))


def content_of(share: float) -> dict[str, Any]:
    """What a measurement holds."""
    points = [{"threshold": 0.5, "passes": 1 + share, "acc": share}, {"threshold": None, "passes": 4.0, "acc": 0.9}]
    curve = {"timesteps": [1, 2, 4], "test/acc": [share, 0.7, 0.9], "test/loss": [1.0, 0.8, 0.7]}
    return {"what": "anytime", "overrides": ["timesteps=1..T"], "curve": curve, "early_exit": {"curve": points}}


def test_seeds_are_averaged_point_by_point(tmp_path: Path) -> None:
    measured(tmp_path, 0, content_of(0.5))
    measured(tmp_path, 1, content_of(0.7))
    (row,) = group_runs(gather_runs([tmp_path]).runs)
    curves = row_anytime(row)
    assert set(curves) == {"test/acc", "early exit"}
    assert curves["test/acc"] == {
        "x": [1, 2, 4],
        "mean": [0.6, 0.7, 0.9],
        "low": [0.5, 0.7, 0.9],
        "high": [0.7, 0.7, 0.9],
    }
    assert (curves["early exit"]["x"], curves["early exit"]["mean"]) == ([1.6, 4.0], [0.6, 0.9])


@pytest.mark.parametrize("content", [[], {"curve": {"timesteps": 3}}, {"curve": {"test/acc": [1]}}, {"early_exit": {}}])
def test_a_damaged_measurement_is_left_out(tmp_path: Path, content: Any) -> None:
    measured(tmp_path, 0, content)
    (row,) = group_runs(gather_runs([tmp_path]).runs)
    assert row_anytime(row) == {}
