"""Event data sets against SpikingJelly's own: the same files give the same frames, labels and parts.

In one file, for importing SpikingJelly's data sets takes seconds: torchaudio.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_files import aedat2_bytes, aedat3_bytes, nmnist_bytes, recording
from tests.data.test_shd import write_spikes
from tests.real_data import real_data

from membrane.data import cifar10_dvs
from membrane.data.cifar10_dvs import CIFAR10DVS
from membrane.data.dvs128_gesture import DVS128Gesture
from membrane.data.ncaltech101 import NCaltech101
from membrane.data.nmnist import NMNIST, NMNISTSubset
from membrane.data.samples import Samples
from membrane.data.shd import SHD, SSC

T = 5
SPLITS = ("time", "number")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch) -> None:
    """Let SpikingJelly convert in one thread: numpy parses a file's header with ast, which CPython 3.11 can break off
    with a SystemError where several threads do so at once (github.com/python/cpython, issue 106905).
    """
    from spikingjelly import configure

    monkeypatch.setattr(configure, "max_threads_number_for_datasets_preprocess", 1)


def write_files(root: Path, names: list[str], content: Callable[[int], bytes]) -> None:
    """Write files of different content below SpikingJelly's folder of extracted files."""
    for seed, name in enumerate(names):
        path = root / "extract" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(seed))


def theirs(data_set: type, root: Path, split: str, **part: Any) -> Any:
    """SpikingJelly's data set of the extracted files."""
    if not (root / "events_np").exists():
        (root / "events_np").mkdir()
        data_set.create_raw_from_extracted(root / "extract", root / "events_np")
    return data_set(str(root), data_type="frame", frames_number=T, split_by=split, **part)


def assert_same(part: Samples, others: Any) -> None:
    """Raise AssertionError unless frames and labels are the same, in the same order."""
    assert part.y.tolist() == [int(label) for _, label in others]
    for x, (frames, _) in zip(part.x, others, strict=True):
        np.testing.assert_array_equal(x, frames)


def test_nmnist(tmp_path, monkeypatch) -> None:
    from spikingjelly.datasets.n_mnist import NMNIST as THEIRS

    names = [f"{part}/{digit}/{number:05}.bin" for part in ("Train", "Test") for digit in (0, 1) for number in (9, 1)]
    write_files(tmp_path / "nmnist", names, lambda seed: nmnist_bytes(recording(300, 34, 34, seed)))
    monkeypatch.setattr(NMNIST, "counts", {"Train": 4, "Test": 4})
    for split in SPLITS:
        train, test = NMNIST(split=f"{split}_spikingjelly").load(tmp_path, T)  # type: ignore[arg-type]
        assert_same(train, theirs(THEIRS, tmp_path / "nmnist", split, train=True))
        assert_same(test, theirs(THEIRS, tmp_path / "nmnist", split, train=False))


def test_cifar10_dvs(tmp_path, monkeypatch) -> None:
    from spikingjelly.datasets import split_to_train_test_set
    from spikingjelly.datasets.cifar10_dvs import CIFAR10DVS as THEIRS

    objects = ("cat", "dog")
    monkeypatch.setattr(cifar10_dvs, "OBJECTS", objects)
    names = [f"{name}/cifar10_{name}_{number}.aedat" for name in objects for number in range(11)]
    write_files(tmp_path / "cifar10_dvs", names, lambda seed: aedat2_bytes(recording(100, 128, 128, seed)))
    monkeypatch.setattr(CIFAR10DVS, "count", 11)
    parts = CIFAR10DVS(split="number_spikingjelly").load(tmp_path, T)
    every = theirs(THEIRS, tmp_path / "cifar10_dvs", "number")
    for part, others in zip(parts, split_to_train_test_set(0.9, every, 2), strict=True):
        assert_same(part, others)


def test_ncaltech101(tmp_path, monkeypatch) -> None:
    from spikingjelly.datasets import NCaltech101 as Theirs
    from spikingjelly.datasets import split_to_train_test_set

    names = [f"Caltech101/{name}/image_{k:04}.bin" for name in ("ant", "BACK") for k in range(1, 12)]
    write_files(tmp_path / "ncaltech101", names, lambda seed: nmnist_bytes(recording(100, 240, 180, seed)))
    monkeypatch.setattr(NCaltech101, "count", 22)
    monkeypatch.setattr(NCaltech101, "class_count", 2)
    parts = NCaltech101(split="time_spikingjelly", partition="spikingjelly").load(tmp_path, T)
    every = theirs(Theirs, tmp_path / "ncaltech101", "time")
    assert list(parts[0].classes) == every.classes
    for part, others in zip(parts, split_to_train_test_set(0.9, every, 2), strict=True):
        assert_same(part, others)


def test_dvs128_gesture(tmp_path, monkeypatch) -> None:
    from spikingjelly.datasets import DVS128Gesture as Theirs

    folder = tmp_path / "dvs128_gesture"
    trials = [f"DvsGesture/user{user}_led.aedat" for user in ("01", "24")]
    write_files(folder, trials, lambda seed: aedat3_bytes(recording(900, 128, 128, seed)))
    rows = [f"{label},{3000 * label},{3000 * label + 4000}" for label in range(1, 12)]
    for trial, part in zip(trials, ("train", "test"), strict=True):
        (folder / "extract" / trial.replace(".aedat", "_labels.csv")).write_text("\n".join(["class,start,end", *rows]))
        (folder / f"extract/DvsGesture/trials_to_{part}.txt").write_text(Path(trial).name)
    monkeypatch.setattr(DVS128Gesture, "counts", {"train": 1, "test": 1})
    train, test = DVS128Gesture(split="number_spikingjelly").load(tmp_path, T)
    for part, is_train in ((train, True), (test, False)):
        others = theirs(Theirs, folder, "number", train=is_train)
        by_class = {others.classes[label]: frames for frames, label in others}  # sorted as text: 0, 1, 10, 2 …
        for x, label in zip(part.x, part.y.tolist(), strict=True):
            np.testing.assert_array_equal(x, by_class[str(label)])


def test_shd_and_ssc(tmp_path, monkeypatch) -> None:
    from spikingjelly.datasets import SpikingHeidelbergDigits, SpikingSpeechCommands

    sets = (SHD, 20, {"train": {"train": True}, "test": {"train": False}}, SpikingHeidelbergDigits)
    parts = {part: {"split": part} for part in ("train", "valid", "test")}
    for ours, classes, settings, their_set in (sets, (SSC, 35, parts, SpikingSpeechCommands)):
        monkeypatch.setattr(ours, "pieces", 2)
        folder, labels = tmp_path / ours.name, [*reversed(range(classes))]
        for seed, part in enumerate(settings):
            write_spikes(folder / f"events_h5/{ours.name}_{part}.h5", labels, labels, seed)
        loaded = ours(split="number_spikingjelly").load(tmp_path, T)
        for part, setting in zip(loaded, settings.values(), strict=True):
            others = their_set(str(folder), data_type="frame", frames_number=T, split_by="number", **setting)
            by_class = {others.classes[label]: frames for frames, label in others}
            for x, label in zip(part.x, part.y.tolist(), strict=True):
                np.testing.assert_array_equal(x[:, 0], by_class[str(label)])


@pytest.mark.parametrize("split", SPLITS)
def test_the_real_subset_of_nmnist(split) -> None:
    from spikingjelly.datasets import utils

    root = real_data("nmnist_subset")
    test = NMNISTSubset(split=f"{split}_spikingjelly").load(root, T)[1]  # type: ignore[arg-type]
    for number in range(0, 100, 20):
        events = utils.load_ATIS_bin(root / f"nmnist_subset/{60001 + number}.bs2")
        frames = utils.integrate_events_by_fixed_frames_number(events, split, T, 34, 34)
        np.testing.assert_array_equal(test.x[number], frames)
