"""Your own arrays: what is in the file is what is trained on, in whichever form it comes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_data import T

from membrane.config.facts import facts_of_files
from membrane.data.array_names import array_facts, dataset_entries, located
from membrane.data.arrays import Arrays
from membrane.data.feed.module import DataModule
from membrane.data.samples import Samples
from membrane.errors import DataError

FORMS = ["npz", "compressed", "folder"]


def save(folder: Path, form: str = "npz", **arrays: Any) -> Path:
    """Write arrays in a form and return the path."""
    folder.mkdir(exist_ok=True)
    if form == "folder":
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
        return folder
    (np.savez if form == "npz" else np.savez_compressed)(folder / "my.npz", **arrays)
    return folder / "my.npz"


def small(n: int = 4, **changes: Any) -> dict[str, Any]:
    """Arrays of both parts: x [n,5,2], y of three classes."""
    x = np.arange(n * 10, dtype=np.float32).reshape(n, 5, 2)
    y = np.arange(n) % 3
    return {"x_train": x, "y_train": y, "x_test": x[:2] + 1, "y_test": y[:2], **changes}


@pytest.mark.parametrize("form", FORMS)
def test_parts_are_the_arrays_with_channels_first(tmp_path, form: str) -> None:
    columns = {"recording_train": np.array([0, 0, 1, 1]), "group_train": np.array([5, 5, 6, 6])}
    arrays = small(classes=np.array(["a", "b", "c"]), **columns)
    path = save(tmp_path / "data", form, **arrays)
    train, test = Arrays(path=str(path), scale=0.5).load(tmp_path, T)
    assert train.x.tolist() == arrays["x_train"].transpose(0, 2, 1).tolist()
    assert test.x.tolist() == arrays["x_test"].transpose(0, 2, 1).tolist()
    assert (train.y.tolist(), test.y.tolist()) == ([0, 1, 2, 0], [0, 1])
    assert (train.recording.tolist(), train.group.tolist()) == ([0, 0, 1, 1], [5, 5, 6, 6])
    assert (test.recording.tolist(), test.group) == ([0, 1], None)
    assert (train.scale, list(train.classes)) == (0.5, ["a", "b", "c"])
    assert train.pages is not None


@pytest.mark.parametrize("form", FORMS)
def test_numbers_in_another_order_of_bytes_are_mapped_from_the_cache(tmp_path, monkeypatch, form: str) -> None:
    """A tensor cannot hold them: to turn all of x round in memory would be a copy of the whole."""
    monkeypatch.setattr("membrane.data.array_file.PIECE", 2 * 10 * 4)  # two rows
    arrays = small(7)
    other = {name: values.astype(values.dtype.newbyteorder("S")) for name, values in arrays.items()}
    path = save(tmp_path / "data", form, **other)
    train, test = Arrays(path=str(path)).load(tmp_path, T)
    assert train.x.tolist() == arrays["x_train"].transpose(0, 2, 1).tolist()
    assert (train.y.tolist(), test.y.tolist()) == ([0, 1, 2, 0, 1, 2, 0], [0, 1])
    [stored] = (tmp_path / ".cache" / "arrays").glob("*/train.x")
    assert np.fromfile(stored, arrays["x_train"].dtype).tolist() == train.x.flatten().tolist()


@pytest.mark.parametrize("form", FORMS)
def test_timesteps_and_lengths_are_kept(tmp_path, form: str) -> None:
    x = np.arange(2 * 3 * 4 * 5 * 2, dtype=np.uint16).reshape(2, 3, 4, 5, 2)
    path = save(tmp_path / "data", form, x_train=x, y_train=np.array([0, 1]), length_train=np.array([3, 1]))
    (train,) = Arrays(path=str(path), timesteps_in_data=True).load(tmp_path, 3)
    assert train.x.tolist() == x.transpose(0, 1, 4, 2, 3).tolist()
    assert train.lengths.tolist() == [3, 1]


def test_a_validation_part_stands_between(tmp_path) -> None:
    path = save(tmp_path, x_val=np.zeros((1, 5, 2), np.float32), y_val=np.array([2]), **small())
    parts = Arrays(path=str(path)).load(tmp_path, T)
    assert [part.y.tolist() for part in parts] == [[0, 1, 2, 0], [2], [0, 1]]


def test_the_content_is_read_once_and_known_from_then_on(tmp_path, monkeypatch) -> None:
    path = save(tmp_path / "data", **small())
    first = [part.digest() for part in Arrays(path=str(path)).load(tmp_path, T)]
    monkeypatch.setattr(Samples, "gather", None)
    monkeypatch.setattr("membrane.data.arrays.first_not_finite", None)
    again = Arrays(path=str(path)).load(tmp_path, T)
    assert [part.digest() for part in again] == first
    assert len(set(first)) == 2
    monkeypatch.undo()
    other = save(tmp_path / "other", **small(y_train=np.array([0, 1, 2, 1])))
    assert not set(first) & {part.digest() for part in Arrays(path=str(other)).load(tmp_path, T)}
    assert not set(first) & {part.digest() for part in Arrays(path=str(path), scale=0.5).load(tmp_path, T)}


@pytest.mark.parametrize("form", FORMS)
def test_a_value_that_is_not_finite_is_refused_each_time(tmp_path, form: str) -> None:
    arrays = small()
    arrays["x_test"][1, 2, 0] = np.nan
    path = save(tmp_path / "data", form, **arrays)
    for _ in range(2):
        with pytest.raises(DataError, match=r"x_test\[1, 2, 0\] is nan, must be finite"):
            Arrays(path=str(path)).load(tmp_path, T)


def test_padding_changes_nothing_that_is_read_out(tmp_path) -> None:
    """Two files whose valid timesteps are equal, of which one has three times as many frames of padding."""
    draw = np.random.default_rng(0)
    x, lengths = draw.random((6, 4, 5, 2), dtype=np.float32), draw.integers(1, 5, 6)
    longer = np.concatenate([x, draw.random((6, 8, 5, 2), dtype=np.float32)], axis=1)
    batches = []
    for values in (x, longer):
        arrays = {"x_train": values, "y_train": np.arange(6) % 2, "length_train": lengths}
        path = save(tmp_path / str(values.shape[1]), **arrays)
        steps = values.shape[1]
        data = DataModule(
            Arrays(path=str(path), timesteps_in_data=True),
            root=tmp_path,
            shape=[2, 5],
            classes=2,
            timesteps=steps,
            timesteps_in_data=True,
            protocol="last",
            batch_size=9,
            seed=0,
            test_share=0.5,
        )
        batches += list(data.test_dataloader())
    short, long = batches
    assert short.index.tolist() == long.index.tolist()
    assert short.lengths.tolist() == long.lengths.tolist()
    for row, other, valid in zip(short.x, long.x, short.lengths.tolist(), strict=True):
        assert torch.equal(row[:valid], other[:valid])


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        (small(x_valid=np.zeros(1)), "the array x_valid has no meaning; names are x_train y_train"),
        (small(labels=np.zeros(1)), "the array labels has no meaning"),
        ({"x_test": np.zeros(1), "y_test": np.zeros(1)}, "x_train is missing"),
        ({"x_train": np.zeros((1, 5, 2))}, "y_train is missing"),
        (small(x_val=np.zeros(1)), "y_val is missing"),
        (small(length_val=np.zeros(1)), "x_val is missing"),
        (small(length_train=np.ones(4)), "length_test is missing, other parts have lengths"),
        (
            {"x_train": np.zeros(1), "y_train": np.zeros(1), "x_val": np.zeros(1), "y_val": np.zeros(1)},
            "there is x_val and no x_test: call it x_test",
        ),
    ],
)
def test_names_without_a_meaning_are_refused(tmp_path, arrays: dict[str, Any], line: str) -> None:
    with pytest.raises(DataError, match=line):
        dataset_entries(save(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("shape", "timed", "facts"),
    [
        ((4, 7, 3), False, {"shape": [3, 7]}),
        ((4, 7, 8, 3), False, {"shape": [3, 7, 8]}),
        ((4, 7, 8, 3), True, {"shape": [3, 8], "timesteps": 7}),
        ((4, 6, 7, 8, 3), True, {"shape": [3, 7, 8], "timesteps": 6}),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int16"])
def test_facts_are_those_of_the_headers(tmp_path, shape, timed: bool, facts: dict[str, Any], dtype: str) -> None:
    path = save(tmp_path, x_train=np.zeros(shape, dtype), y_train=np.array([0, 6, 1, 2]))
    scale = 1 / 255 if dtype == "uint8" and not timed else 1.0
    expected = {"scale": scale, "classes": 7, **facts}
    assert array_facts(path, timesteps_in_data=timed, task="classification") == expected


def test_classes_are_counted_in_all_parts_or_named(tmp_path) -> None:
    path = save(tmp_path, **small(y_test=np.array([0, 8])))
    assert array_facts(path, timesteps_in_data=False, task="classification")["classes"] == 9
    path = save(tmp_path, **small(classes=np.array(list("abcdefghijkl"))))
    assert array_facts(path, timesteps_in_data=False, task="classification")["classes"] == 12


def test_targets_are_counted(tmp_path) -> None:
    path = save(tmp_path, **small(y_train=np.zeros((4, 3)), y_test=np.zeros((2, 3))))
    assert array_facts(path, timesteps_in_data=False, task="regression")["classes"] == 3


@pytest.mark.parametrize(
    ("changes", "task", "timed", "line"),
    [
        ({}, "regression", False, r"y_train is int64 \[4\], must be float \[n,K\] for dataset.task=regression"),
        ({"y_train": np.zeros(4)}, "regression", False, r"y_train is float64 \[4\], must be float \[n,K\]"),
        ({"y_test": np.zeros(2)}, "classification", False, "float targets .* are dataset.task=regression"),
        ({"y_train": np.array(list("abca"))}, "classification", False, r"y_train is <U1 \[4\], must be whole numbers"),
        ({"y_train": np.zeros((4, 3), int)}, "classification", False, "must be whole numbers"),
        ({"y_train": np.zeros((4, 3))}, "classification", False, r"labels are y.argmax\(1\) where rows are one-hot"),
        ({"y_train": np.zeros((4, 1), int)}, "classification", False, r"labels are y\[:, 0\]$"),
        ({"y_train": np.zeros(4)}, "classification", False, r"labels are y.astype\('int64'\), float targets"),
        ({"y_train": np.array(list("abca"))}, "classification", False, "those of all parts together"),
        ({"group_train": np.array(list("abca"))}, "classification", False, "numbers them alike in all parts"),
        ({"recording_train": np.zeros(4)}, "classification", False, r"recording_train is float64 .* numbers \[4\]"),
        ({"recording_test": np.zeros((2, 1), int)}, "classification", False, r"must be whole numbers \[2\]"),
        ({"y_test": np.zeros(3, int)}, "classification", False, r"x_test has 2 samples, y of test is \[3\]"),
        ({"group_train": np.zeros(3, int)}, "classification", False, "x_train has 4 samples, group of train is"),
        ({"x_test": np.ones((2, 5, 2), "uint8")}, "classification", False, "x_test is uint8, x_train float32: make"),
        ({"x_test": np.zeros((0, 5, 2), "f4"), "y_test": np.zeros(0, int)}, "classification", False, "holds nothing"),
        ({"y_train": np.zeros(4, int), "y_test": np.zeros(2, int)}, "classification", False, "needs two at least"),
        ({"y_test": np.array([0, -1])}, "classification", False, r"y_test\[1\] is -1, must be 0 or more"),
        ({"classes": np.array(["a", "b"])}, "classification", False, r"reach 2, classes has 2 names, of 0…1"),
        ({"y_train": np.zeros(4), "y_test": np.zeros(2)}, "regression", False, r"; y\[:, None\] makes it so"),
        ({"y_train": np.zeros((4, 1), int)}, "regression", False, r"; y.astype\('float32'\) makes it so"),
        ({"y_train": np.zeros((4, 3)), "y_test": np.zeros((2, 1))}, "regression", False, "1 targets, y_train 3"),
        ({"classes": np.arange(3)}, "classification", False, "must be K names, as text"),
        ({"classes": np.array([["a"]])}, "classification", False, "must be K names, as text"),
        ({"x_train": np.zeros((4, 5))}, "classification", False, r"is \[4, 5\], must be \[n,S,C\] or \[n,H,W,C\]"),
        (
            {"length_train": np.ones(4, int), "length_test": np.ones(2, int)},
            "classification",
            False,
            "lengths count timesteps, which the data has not: framework=multistep_tid dataset.timesteps_in_data=true",
        ),
        ({"x_train": np.zeros((4, 5))}, "classification", False, r"; a signal of one channel is x\[:, :, None\]$"),
        ({}, "classification", True, r"; if x is \[n,T,C\], x\[:, :, None, :\] has S=1; or say .*_in_data=false$"),
        (
            {"length_train": np.ones(4, int), "length_test": np.ones(2, int)},
            "classification",
            True,
            r"\[n,T,H,W,C\], channels last; if x is \[n,T,C\], x\[:, :, None, :\] has S=1$",
        ),
        ({"x_train": np.zeros((4, 5))}, "classification", True, r"is \[4, 5\], must be .*, channels last$"),
        (
            {"x_train": np.zeros((4, 3, 5, 6, 2))},
            "classification",
            False,
            r"must be \[n,S,C\] or \[n,H,W,C\], channels last; or say dataset.timesteps_in_data=true",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path, changes: dict[str, Any], task: str, timed: bool, line) -> None:
    with pytest.raises(DataError, match=line):
        array_facts(save(tmp_path, **small(**changes)), timesteps_in_data=timed, task=task)


def test_a_file_is_looked_for_here_and_with_the_data(tmp_path, monkeypatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "my.npz").write_text("")
    monkeypatch.chdir(tmp_path)
    assert located("my.npz", tmp_path / "data") == tmp_path / "data" / "my.npz"
    (tmp_path / "my.npz").write_text("")
    assert located("my.npz", tmp_path / "data") == Path("my.npz")
    with pytest.raises(
        DataError, match=r"dataset.path=other.npz: there is no such file or folder, neither here nor in"
    ):
        located("other.npz", tmp_path / "data")


@pytest.mark.parametrize("form", FORMS)
def test_no_folder_needs_to_be_written(tmp_path, monkeypatch, form: str) -> None:
    path = save(tmp_path / "data", form, **small())
    kept = [part.digest() for part in Arrays(path=str(path)).load(tmp_path, T)]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".cache").write_text("in the way")
    monkeypatch.setattr("membrane.data.store.location.own_cache", lambda: tmp_path / "other" / ".cache")
    facts = facts_of_files({"path": str(path)}, tmp_path / "other")
    assert (facts["shape"], len(facts["sha256"])) == ([2, 5], 64)
    parts = Arrays(path=str(path)).load(tmp_path / "other", T)
    assert [part.digest() for part in parts] == kept
    assert parts[1].x.shape == (2, 2, 5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_a_value_that_is_not_finite_is_named_by_its_index_in_the_file(
    tmp_path, monkeypatch, form: str, timed: bool, cached: bool
) -> None:
    if not cached:
        monkeypatch.setattr("membrane.data.arrays.writable_cache", lambda root: None)
        monkeypatch.setattr("membrane.data.store.cache.writable_cache", lambda root: None)
    monkeypatch.setattr("membrane.data.array_file.PIECE", 100)  # several pieces
    x, place = np.zeros((6, 4, 5, 2), np.float32), (4, 3, 1, 0)
    x[place] = np.nan
    path = save(tmp_path / "data", form, **small(4, x_train=x[:4], x_test=x, y_test=np.zeros(6, int)))
    with pytest.raises(DataError, match=rf"^{path}: x_test\[4, 3, 1, 0\] is nan, must be finite$"):
        Arrays(path=str(path), timesteps_in_data=timed).load(tmp_path, T)


def test_a_value_too_large_for_its_scale_is_named_by_its_index_too(tmp_path) -> None:
    x = np.ones((2, 5, 2), np.float64)
    x[1, 4, 0] = 1e300
    path = save(tmp_path, **small(x_train=x, y_train=np.array([0, 1])))
    with pytest.raises(DataError, match=r"x_train\[1, 4, 0\] is 1e\+300, times scale 2 must be finite in float32$"):
        Arrays(path=str(path), scale=2.0).load(tmp_path, T)


@pytest.mark.parametrize("dtype", ["U3", "S3", "complex64", "longdouble", "datetime64[s]"])
@pytest.mark.parametrize("form", FORMS)
def test_what_are_no_real_numbers_is_refused(tmp_path, form: str, dtype: str) -> None:
    path = save(tmp_path / "data", form, **small(x_test=np.zeros((2, 5, 2), dtype)))
    with pytest.raises(DataError, match=r"x_test is .* \[2, 5, 2\], must be real numbers of 64 bits at most"):
        Arrays(path=str(path)).load(tmp_path, T)


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 3), (2, 5, 2, 1)])
def test_samples_of_another_shape_are_refused(tmp_path, shape: tuple[int, ...]) -> None:
    path = save(tmp_path, **small(x_test=np.zeros(shape)))
    with pytest.raises(DataError, match=r"x_test is \[2, 5.*\], x_train \[4, 5, 2\]: they differ beyond n"):
        Arrays(path=str(path)).load(tmp_path, T)
