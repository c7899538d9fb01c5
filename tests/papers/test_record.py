"""Records of a row: what is copied into them, and what they say of the claim."""

import json
from pathlib import Path
from typing import Any

import pytest

from membrane.errors import DataError
from membrane.papers.record import (
    SeedMean,
    band_state,
    compared_spread,
    epoch_rows,
    honest_spread,
    read_record,
    write_record,
)
from membrane.papers.registry import PaperRow
from membrane.schema.paper import Paper


def row(**changes: Any) -> PaperRow:
    settings = {
        "citation": "A. Author 2020",
        "row": "table 1, row 2",
        "source": "the paper",
        "protocol": "paper_best_on_test",
        "published": {"best": 0.9},
        "compared": "best",
        "band": [0.85, 0.95],
        "seeds": 2,
    }
    return PaperRow("paper/row", Paper.model_validate({**settings, **changes}))


def result(**metrics: float | None) -> dict[str, Any]:
    return {"metrics": {key.replace("__", "/"): value for key, value in metrics.items()}}


@pytest.mark.parametrize(("compared", "expected"), [("best", 0.92), ("last", 0.82), ("mean_last10", 0.72)])
def test_like_is_compared_with_like(compared: str, expected: float) -> None:
    numbers = {"test__acc": 0.1, "test_last__acc": 0.82, "test__acc_mean_last10": 0.72, "test__acc_best_oracle": 0.92}
    results = {"paper_best_on_test": {0: result(**numbers)}, "val_best": {0: result(test__acc=0.5)}}
    assert compared_spread(row(compared=compared), results) == SeedMean(expected, None, 1)
    assert honest_spread(results) == SeedMean(0.5, None, 1)


def test_the_deviation_is_that_of_a_sample() -> None:
    scores = {seed: result(test__acc_best_oracle=value) for seed, value in enumerate((0.90, 0.94, 0.95))}
    spread = compared_spread(row(), {"paper_best_on_test": scores})
    # mean 0.93; deviations −0.03, 0.01, 0.02: (9 + 1 + 4)e-4 / 2 = 7e-4
    assert spread is not None
    assert (spread.mean, spread.deviation, spread.n) == (pytest.approx(0.93), pytest.approx(7e-4**0.5), 3)
    assert str(spread) == "93.00 ± 2.65"
    assert str(SeedMean(0.93, None, 1)) == "93.00"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], "not recorded"),
        ([0.85, 0.85], "in band"),
        ([0.95, 0.95], "in band"),
        ([0.80, 0.89], "outside"),
        ([0.96, 0.96], "outside"),
        ([0.9], "in band, 1 of 2 seeds"),
        ([0.5], "outside, 1 of 2 seeds"),
    ],
)
def test_the_mean_over_seeds_is_to_lie_in_the_band(scores: list[float], expected: str) -> None:
    results = {"paper_best_on_test": {seed: result(test__acc_best_oracle=each) for seed, each in enumerate(scores)}}
    assert band_state(row(), results) == expected


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(DataError, match="test/acc_best_oracle that is no number"):
        compared_spread(row(), {"paper_best_on_test": {0: {"metrics": {"test/acc_best_oracle": "high"}}}})


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1e308, -1])
def test_a_score_that_is_no_accuracy_lies_in_no_band(score: float) -> None:
    results = {"paper_best_on_test": {0: result(test__acc_best_oracle=0.9), 1: result(test__acc_best_oracle=score)}}
    assert str(compared_spread(row(), results)) == "nan"
    assert band_state(row(), results) == "outside"


def test_a_record_holds_the_result_the_epochs_and_no_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    content = result(test__acc=0.75)
    (run / "result.json").write_text(json.dumps(content))
    (run / "provenance.json").write_text(
        json.dumps({"versions": {"torch": "2"}, "command": ["paths.runs=x"], "rerun": False})
    )
    (run / "metrics.csv").write_text("epoch,step,train/loss,val/acc\n0,1,0.5,\n0,2,0.4,\n0,2,,0.7\n1,4,,0.8\n")
    write_record(tmp_path / "records", row(), "val_best", 3, run)
    folder = tmp_path / "records" / "paper" / "row" / "val_best" / "seed3"
    assert sorted(path.name for path in folder.iterdir()) == ["curves.csv", "provenance.json", "result.json"]
    assert json.loads((folder / "provenance.json").read_text()) == {"versions": {"torch": "2"}}
    assert (folder / "curves.csv").read_text() == "epoch,step,train/loss,val/acc\n0,2,,0.7\n1,4,,0.8\n"
    assert read_record(tmp_path / "records", row(), []) == {"val_best": {3: content}}
    (folder.parent / "seed3.1").mkdir()  # a run that was moved aside
    (folder.parent / "seed3.1" / "result.json").write_text("{}")
    assert read_record(tmp_path / "records", row(), []) == {"val_best": {3: content}}


def test_all_rows_stay_where_no_epoch_was_measured() -> None:
    assert epoch_rows("epoch,train/loss\n0,1\n1,2\n") == "epoch,train/loss\n0,1\n1,2\n"
