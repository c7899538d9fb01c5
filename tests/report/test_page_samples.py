"""Test samples on a report's page, against scikit-learn and by hand."""

from pathlib import Path

import numpy as np
import pytest
from reported_runs import LABELS, finished, outputs_of, right_answers
from sklearn.metrics import confusion_matrix, recall_score

from membrane.report.page_samples import SampleTally, hardest_samples, row_samples
from membrane.report.recorded import gather_runs
from membrane.report.rows import group_runs


def told_of(runs: Path) -> tuple[dict[str, object], dict[bytes, SampleTally]]:
    """What is told of the only row of a folder, and the tallies."""
    tallies: dict[bytes, SampleTally] = {}
    (row,) = group_runs(gather_runs([runs]).runs)
    return row_samples(row, tallies), tallies


def test_confusions_and_recall_are_scikit_learns_over_all_seeds(tmp_path: Path) -> None:
    for seed in range(2):
        finished(tmp_path, "f0", seed, right_answers(0.6, seed))
    told, _ = told_of(tmp_path)
    predictions = np.concatenate([outputs_of(right_answers(0.6, seed))["output"].argmax(1) for seed in range(2)])
    labels = np.tile(LABELS, 2)
    assert told["confusion"] == confusion_matrix(labels, predictions).tolist()
    assert told["recall"] == pytest.approx(recall_score(labels, predictions, average=None), abs=1e-4)
    assert told["classes"] == [str(k) for k in range(10)]


def test_the_hardest_samples_are_those_that_the_fewest_runs_got_right(tmp_path: Path) -> None:
    rights = [np.arange(200) > 2, np.arange(200) > 1, np.arange(200) > 1]
    for seed, right in enumerate(rights):
        finished(tmp_path, "f0", seed, right)
    _, tallies = told_of(tmp_path)
    hardest = hardest_samples(tallies)
    assert [(each["index"], each["right"], each["runs"]) for each in hardest] == [(0, 0, 3), (1, 0, 3), (2, 2, 3)]
    assert (hardest[0]["label"], hardest[0]["instead"], hardest[0]["votes"]) == ("0", "1", 3)
    assert hardest_samples({}) == []


def test_accuracy_by_recording_begins_with_the_lowest(tmp_path: Path) -> None:
    right = np.arange(200) >= 30
    finished(tmp_path, "f0", 0, right, arrays={"group": np.arange(200) // 20})
    told, _ = told_of(tmp_path)
    assert told["cluster_count"] == 10
    assert told["clusters"][:3] == [("0", 20, 0.0), ("1", 20, 0.5), ("2", 20, 1.0)]


@pytest.mark.parametrize(
    "arrays",
    [{"label": np.linspace(0, 1, 200)}, {"label": LABELS + 5}, {"index": np.arange(3)}, {"output": np.zeros(200)}],
)
def test_what_is_no_classifiers_output_tells_nothing(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    finished(tmp_path, "f0", 0, right_answers(0.6, 0), arrays=arrays)
    assert told_of(tmp_path)[0] == {}
