"""Sliding windows over own signals and sequences, against a plain loop; what they inherit, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import evaluate
from hypothesis import given
from hypothesis import strategies as st
from run_paths import only

from membrane.data.array_names import array_facts
from membrane.data.arrays import Arrays
from membrane.data.windows import check_rows, cut_windows
from membrane.errors import DataError


def by_loop(x: Any, lengths: Any, window: int, stride: int) -> list[tuple[int, int, Any]]:
    """Return (sample, length, x [window,…]) of every window, one after the other."""
    cut = []
    for sample, (row, length) in enumerate(zip(x, lengths, strict=True)):
        start = 0
        while start == 0 or start + window <= length:
            cut.append((sample, min(window, length), row[start : start + window]))
            start += stride
    return cut


@given(st.data())
def test_windows_are_those_of_a_loop(data: st.DataObject) -> None:
    samples, steps = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    window, stride = data.draw(st.integers(1, steps)), data.draw(st.integers(1, 13))
    x = np.arange(samples * steps * 2).reshape(samples, steps, 2)
    columns = {"x": x, "y": np.arange(samples) + 10, "group": np.arange(samples) // 2}
    lengths = np.full(samples, steps)
    if data.draw(st.booleans()):
        lengths = columns["lengths"] = np.array([data.draw(st.integers(1, steps)) for _ in range(samples)])
    cut = cut_windows(columns, window, stride, first=7)
    expected = by_loop(x, lengths, window, stride)
    assert np.array_equal(cut["x"], np.stack([each for _, _, each in expected]))
    whose = np.array([sample for sample, _, _ in expected])
    assert cut["recording"].tolist() == (whose + 7).tolist()
    assert cut["y"].tolist() == (whose + 10).tolist()
    assert cut["group"].tolist() == (whose // 2).tolist()
    assert ("lengths" in cut) == ("lengths" in columns)
    if "lengths" in cut:
        assert cut["lengths"].tolist() == [length for _, length, _ in expected]


def signals(samples: int, steps: int, first: int = 0) -> Any:
    """Return x [n,S,2] of numbers that tell sample and step."""
    return (np.arange(samples)[:, None, None] + first) * 100 + np.arange(steps)[:, None] + np.array([0.0, 0.5])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_is_cut_and_parts_may_differ_in_steps(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "my.npz"
    arrays = {"x_train": signals(3, 10), "y_train": np.array([0, 1, 0]), "x_test": signals(2, 14, 50), "y_test": [1, 0]}
    save(path, **arrays, recording_test=np.array([4, 4]))
    facts = array_facts(path, timesteps_in_data=False, task="classification", window=4)
    assert facts == {"shape": [2, 4], "classes": 2, "scale": 1.0}
    train, test = Arrays(path=str(path), window=4, stride=3).load(tmp_path, 4)
    assert train.x.shape == (9, 2, 4)  # starts 0, 3, 6
    assert train.x[4].tolist() == [[103.0, 104.0, 105.0, 106.0], [103.5, 104.5, 105.5, 106.5]]
    assert train.recording.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert test.x.shape == (8, 2, 4)
    assert test.recording.tolist() == [4] * 8
    other = Arrays(path=str(path), window=4).load(tmp_path, 4)[0]
    assert other.x[:, 0, 0].tolist() == [0.0, 4.0, 100.0, 104.0, 200.0, 204.0]
    assert other.digest() != train.digest()


def test_sequences_are_cut_along_their_timesteps(tmp_path: Path) -> None:
    x = np.arange(2 * 7 * 3 * 1.0).reshape(2, 7, 3, 1)
    np.savez(tmp_path / "my.npz", x_train=x, y_train=np.array([0, 1]), length_train=np.array([7, 2]))
    path = tmp_path / "my.npz"
    facts = array_facts(path, timesteps_in_data=True, task="classification", window=3)
    assert (facts["shape"], facts["timesteps"]) == ([1, 3], 3)
    (train,) = Arrays(path=str(path), timesteps_in_data=True, window=3).load(tmp_path, 3)
    assert train.x[:, :, 0].tolist() == [x[0, :3, :, 0].tolist(), x[0, 3:6, :, 0].tolist(), x[1, :3, :, 0].tolist()]
    assert train.lengths is not None
    assert train.lengths.tolist() == [3, 3, 2]
    assert train.recording.tolist() == [0, 0, 1]


def test_a_window_may_be_all_of_a_signal(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    np.savez(path, x_train=signals(2, 9), y_train=np.array([0, 1]))
    assert array_facts(path, timesteps_in_data=False, task="classification", window=9)["shape"] == [2, 9]
    (train,) = Arrays(path=str(path), window=9, stride=2).load(tmp_path, 4)
    assert train.x.tolist() == signals(2, 9).transpose(0, 2, 1).tolist()


def test_windows_of_a_signal_have_its_targets(tmp_path: Path) -> None:
    targets = np.array([[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]])
    np.savez(tmp_path / "my.npz", x_train=signals(2, 9), y_train=targets)
    (train,) = Arrays(path=str(tmp_path / "my.npz"), task="regression", window=4).load(tmp_path, 4)
    assert train.y.tolist() == [[0.5, 1.5, 2.5]] * 2 + [[3.5, 4.5, 5.5]] * 2


@pytest.mark.parametrize(
    ("arrays", "timed", "line"),
    [
        (
            {"x_train": np.zeros((2, 8, 8, 1))},
            False,
            r"cuts signals .*, x_train is \[2, 8, 8, 1\], images: leave",
        ),
        ({"x_test": np.zeros((2, 3, 1)), "y_test": [0, 1]}, False, "x_test has 3 steps, fewer than dataset.window=4"),
        ({"y_train": [0, 1, 1]}, False, r"x_train has 2 samples, y of train is \[3\]"),
        (
            {"x_train": np.zeros((2, 8, 3, 1)), "length_train": [8, 9]},
            True,
            "sample 1 of train has length 9, must be 1…8 timesteps",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused(tmp_path: Path, arrays: dict[str, Any], timed: bool, line: str) -> None:
    path = tmp_path / "my.npz"
    np.savez(path, **{"x_train": np.zeros((2, 8, 1)), "y_train": [0, 1], **arrays})

    def checked_and_loaded() -> None:
        array_facts(path, timesteps_in_data=timed, task="classification", window=4)
        Arrays(path=str(path), timesteps_in_data=timed, window=4).load(tmp_path, 4)

    with pytest.raises(DataError, match=line):
        checked_and_loaded()


def test_a_run_on_windows_scores_recordings(small: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    for part in ("train", "test"):
        np.save(Path(f"x_{part}.npy"), draw.random((40, 12, 2), dtype=np.float32))
        np.save(Path(f"y_{part}.npy"), np.arange(40) % 2)
    own = ("dataset=arrays", "dataset.path=.")
    assert small(*own, "dataset.stride=3") == 2
    assert "dataset: stride=3 is from one window to the next: add window=STEPS" in capsys.readouterr().err
    assert small(*own, "dataset.window=13") == 2
    assert small(*own, "dataset.window=6", "dataset.stride=3") == 0
    run = only("arrays/*/seed0")
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert {"val/acc_recording", "test/acc_recording"} <= metrics.keys()
    with np.load(run / "outputs" / "test.npz") as saved:
        assert saved["recording"].tolist() == np.repeat(np.arange(40), 3).tolist()
    assert evaluate([str(run), "dataset.stride=6"]) == 0
    split = json.loads((run / "provenance.json").read_text())["split"]
    assert split["train"]["samples"] == 3 * split["train"]["recordings"]


def test_a_column_with_fewer_rows_than_x_is_named() -> None:
    with pytest.raises(DataError, match=r"my.npz: x_test has 4 samples, group of test is \[3\]"):
        check_rows(Path("my.npz"), "test", (4, 9, 1), {"y": np.zeros(4), "group": np.zeros(3)})


def test_lengths_are_from_1_to_the_steps_of_x() -> None:
    check_rows(Path("my.npz"), "train", (2, 9, 1), {"y": np.zeros(2), "lengths": np.array([1, 9])})
    with pytest.raises(DataError, match="sample 1 of train has length 0, must be 1…9 timesteps"):
        check_rows(Path("my.npz"), "train", (2, 9, 1), {"y": np.zeros(2), "lengths": np.array([9, 0])})
