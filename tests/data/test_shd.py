"""SHD and SSC: small files in the original format, spike by spike."""

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small_originals import take_small_originals

from membrane.data.feed.division import Division
from membrane.data.shd import SHD, SSC
from membrane.errors import DataError


def write_spikes(
    path: Path, labels: list[int], speakers: list[int] | None = None, seed: int = 0, **changes: Any
) -> None:
    """Write a file as the authors do: times of float16 in order, units of uint16, one row a recording.

    A change replaces times or units of the first recording, or another column as a whole.
    """
    generator = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, dtype in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (len(labels),), h5py.vlen_dtype(changes.get(f"{name}_type", dtype)))
        for number in range(len(labels)):
            count = 50 + number
            file["spikes/times"][number] = np.sort(generator.uniform(0, 1.2, count)).astype(np.float16)
            file["spikes/units"][number] = generator.integers(0, 700, count)
        for name in ("times", "units"):
            if name in changes:
                file[f"spikes/{name}"][0] = changes[name]
        file["labels"] = np.array(changes.get("listed", labels), np.uint16)
        if speakers is not None:
            file["extra/speaker"] = np.array(changes.get("speaker", speakers), np.uint16)


def loop(path: Path, number: int, timesteps: int, factor: int = 1) -> np.ndarray:
    """Count the spikes of a recording one by one, in frames of equal duration."""
    with h5py.File(path) as file:
        times, units = file["spikes/times"][number], file["spikes/units"][number]
    micros = [round(float(time) * 1e6) for time in times]
    counts = np.zeros((timesteps, 1, 700 // factor), np.int64)
    for time, unit in zip(micros, units, strict=True):
        counts[(time - min(micros)) * timesteps // (max(micros) - min(micros) + 1), 0, unit // factor] += 1
    return counts


@pytest.fixture
def shd(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(SHD, "pieces", 7)
    write_spikes(tmp_path / "shd/shd_train.h5", [number % 20 for number in range(120)], [n // 20 for n in range(120)])
    write_spikes(tmp_path / "shd/shd_test.h5", [19, 0, 5], [4, 5, 4], seed=1)
    return tmp_path


def test_spikes_are_counted_as_one_by_one(shd) -> None:
    train, test = SHD().load(shd, 10)
    coarse, _ = SHD(downsample=5).load(shd, 10)
    assert (tuple(train.x.shape), tuple(coarse.x.shape)) == ((120, 10, 1, 700), (120, 10, 1, 140))
    for number in (0, 1, 17, 18, 119):  # on both sides of a piece's end
        np.testing.assert_array_equal(train.x[number], loop(shd / "shd/shd_train.h5", number, 10))
        np.testing.assert_array_equal(coarse.x[number], loop(shd / "shd/shd_train.h5", number, 10, factor=5))
    np.testing.assert_array_equal(test.x[2], loop(shd / "shd/shd_test.h5", 2, 10))
    assert (train.y.tolist(), train.recording.tolist()) == ([n % 20 for n in range(120)], [*range(120)])
    assert (test.y.tolist(), test.group.tolist()) == ([19, 0, 5], [4, 5, 4])
    assert [test.classes[label] for label in test.y] == ["neun", "zero", "five"]


def test_archives_are_unpacked(shd, monkeypatch) -> None:
    take_small_originals(monkeypatch, "shd")
    expected = SHD().load(shd, 2)
    for part in ("train", "test"):
        path = shd / f"shd/shd_{part}.h5"
        with zipfile.ZipFile(f"{path}.zip", "w") as archive:
            archive.write(path, path.name)
        path.unlink()
    for part, before in zip(SHD().load(shd, 2), expected, strict=True):
        np.testing.assert_array_equal(part.x, before.x)


def test_validation_is_by_speaker(shd) -> None:
    division = Division(SHD().load(shd, 2), protocol="val_best", task="classification")
    speakers = [set(division.parts[part].group.tolist()) for part in ("train", "val")]
    assert len(speakers[1]) == 1
    assert speakers[0] == set(range(6)) - speakers[1]


def test_spikes_are_put_in_order_of_time(shd) -> None:
    times = np.array([0.5, 0.0, 1.0], np.float16)
    write_spikes(shd / "shd/shd_test.h5", [0], [0], times=times, units=[5, 7, 9])
    x = SHD(split="number_spikingjelly").load(shd, 3)[1].x[0]
    assert np.argwhere(x.numpy()).tolist() == [[0, 0, 7], [1, 0, 5], [2, 0, 9]]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"units": [700]}, "recording 0 has 50 times and 1 units, as many are expected"),
        ({"times": [0.5], "units": [700]}, "recording 0 has units 700 to 700, 0 to 699 expected"),
        ({"times": [0.5], "units": [-1], "units_type": np.int32}, "recording 0 has units -1 to -1"),
        ({"times": [np.nan], "units": [1]}, "recording 0 has spikes at nan to nan s, 0 to 3600 s"),
        ({"times": [-0.5], "units": [1]}, "recording 0 has spikes at -0.5 to -0.5 s"),
        ({"times": [np.inf], "units": [1]}, "recording 0 has spikes at inf to inf s"),
        ({"listed": [19, 20, 0]}, "recording 1 has label 20, 0 to 19 expected"),
        ({"listed": [1, 2]}, "columns have 2 and 3 rows, all must have as many"),
        ({"times_type": np.int32}, r"spikes/times is object \[3\], rows of numbers"),
        ({"speaker": [[0, 1, 2]]}, r"extra/speaker is uint16 \[1, 3\], numbers"),
    ],
)
def test_damaged_files_are_refused_and_nothing_is_cached(shd, changes, line) -> None:
    write_spikes(shd / "shd/shd_test.h5", [19, 0, 5], [4, 5, 4], **changes)
    with pytest.raises(DataError, match=f"shd_test.h5: {line}"):
        SHD().load(shd, 2)
    assert [path for path in (shd / ".cache/shd").iterdir() if path.is_dir()] == []


def test_recordings_without_spikes_are_frames_of_zeros(shd) -> None:
    write_spikes(shd / "shd/shd_test.h5", [0, 1], [0, 0], times=[], units=[])
    x = SHD().load(shd, 2)[1].x
    assert x.sum((1, 2, 3)).tolist() == [0, 51]


def test_ssc_has_its_own_validation_part(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(SSC, "pieces", 2)
    take_small_originals(monkeypatch, "ssc")
    for part, labels in {"train": [34, 3], "valid": [2], "test": [1, 0, 4]}.items():
        write_spikes(tmp_path / f"SSC/ssc_{part}.h5", labels, seed=len(labels))
    parts = SSC().load(tmp_path, 4)
    assert [part.y.tolist() for part in parts] == [[34, 3], [2], [1, 0, 4]]
    assert [part.group for part in parts] == [None] * 3
    np.testing.assert_array_equal(parts[1].x[0], loop(tmp_path / "SSC/ssc_valid.h5", 0, 4))
    (tmp_path / "SSC/ssc_valid.h5").unlink()
    with pytest.raises(DataError, match=r"ssc/ssc_valid.h5.zip: missing; put the original ssc_train.h5.zip, "):
        SSC().load(tmp_path, 4)
