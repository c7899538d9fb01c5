"""The scores of a run's test samples, and which samples belong together, by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported_runs import finished, right_answers

from membrane.errors import DataError
from membrane.report import sample_scores
from membrane.report.recorded import Recorded, gather_runs
from membrane.report.sample_scores import clustered_samples, clusters_of, count_test_samples, read_scores


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Recorded]:
    """Return what writes a finished run with other arrays, or none, and reads it."""

    def write(*, provenance: dict[str, Any] | None = None, outputs: bool = True, **arrays: np.ndarray) -> Recorded:
        folder = finished(tmp_path, "f0", 0, right_answers(0.6, 0), provenance=provenance, arrays=arrays)
        if not outputs:
            (folder / "outputs" / "test.npz").unlink()
        (run,) = gather_runs([tmp_path]).runs
        return run

    return write


def test_samples_are_right_or_wrong_in_the_order_of_their_indices(recorded: Callable[..., Recorded]) -> None:
    output = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    run = recorded(index=np.array([5, 1, 3]), label=np.array([0, 0, 0]), output=output, recording=np.array([7, 8, 9]))
    assert read_scores(run).scores.tolist() == [0, 1, 1]


def test_an_error_is_absolute_and_the_mean_over_targets(recorded: Callable[..., Recorded]) -> None:
    label, output = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [-1.0, 3.0]])
    run = recorded(index=np.arange(2), label=label, output=output, recording=np.array([0, 1]))
    assert read_scores(run).scores.tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("group", "recording", "expected"),
    [
        (None, [4, 4, 5, 6], [4, 4, 5, 6]),
        ([1, 1, 2, 2], [4, 4, 5, 6], [1, 1, 2, 2]),
        ([1, 1, 1, 1], [4, 4, 5, 6], [4, 4, 5, 6]),
        ([1, 2, 3, 4], [4, 5, 6, 7], None),
        ([1, 1, 1, 1], [2, 2, 2, 2], None),
        ([1, 1, 2], None, None),
    ],
)
def test_samples_belong_together_by_group_else_by_recording(
    group: list[int] | None, recording: list[int] | None, expected: list[int] | None
) -> None:
    columns = {"group": group, "recording": recording}
    arrays = {name: np.array(each) for name, each in columns.items() if each is not None}
    for order in (np.arange(4), np.array([2, 0, 3, 1])):
        clusters = clusters_of(arrays, order)
        assert (None if clusters is None else clusters.tolist()) == (
            None if expected is None else [expected[i] for i in order]
        )


def test_groups_are_counted_before_recordings(recorded: Callable[..., Recorded]) -> None:
    recording = np.arange(200) // 2
    assert clustered_samples(recorded(recording=recording, group=np.arange(200) // 40)) == 5


def test_samples_that_stand_alone_are_in_no_cluster(recorded: Callable[..., Recorded]) -> None:
    assert clustered_samples(recorded()) == 0


@pytest.mark.parametrize(("samples", "expected"), [(1, 1), (40, 40), (0, None), ("40", None)])
def test_the_provenance_tells_the_number_of_samples_without_outputs(
    recorded: Callable[..., Recorded], samples: Any, expected: int | None
) -> None:
    run = recorded(provenance={"split": {"test": {"samples": samples}}}, outputs=False)
    assert count_test_samples(run) == expected


def test_an_array_of_the_largest_size_is_read_and_no_larger_one(
    recorded: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(recording=np.zeros(10**4, dtype=np.int64))
    monkeypatch.setattr(sample_scores, "LARGEST", 8 * 10**4)
    assert len(sample_scores.read_arrays(run, "recording")["recording"]) == 10**4
    monkeypatch.setattr(sample_scores, "LARGEST", 8 * 10**4 - 1)
    with pytest.raises(DataError, match="larger than any run's"):
        sample_scores.read_arrays(run, "recording")
