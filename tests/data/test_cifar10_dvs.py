"""CIFAR10-DVS: small files in the original format, divided as the papers do."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from event_files import aedat2_bytes, recording
from small_originals import take_small_originals

from membrane.data.cifar10_dvs import CIFAR10DVS, OBJECTS
from membrane.data.events.frames import frames
from membrane.errors import DataError

COUNT = 20


def image(label: int, number: int):
    """A recording of which the number of events is known."""
    return recording(20 + COUNT * label + number, 128, 128, label)


@pytest.fixture
def originals(tmp_path: Path, monkeypatch) -> Path:
    """Twenty recordings a class, the last class unpacked."""
    take_small_originals(monkeypatch, "cifar10_dvs")
    monkeypatch.setattr(CIFAR10DVS, "count", COUNT)
    folder = tmp_path / "cifar10_dvs"
    (folder / "truck").mkdir(parents=True)
    for label, name in enumerate(OBJECTS):
        files = {f"cifar10_{name}_{number}.aedat": aedat2_bytes(image(label, number)) for number in range(COUNT)}
        if name == "truck":
            for file, content in files.items():
                (folder / name / file).write_bytes(content)
            continue
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for file, content in files.items():
                archive.writestr(f"{name}/{file}", content)
    return tmp_path


def numbers(part) -> list[list[int]]:
    """The numbers of a part's recordings, for each class."""
    events = part.x.sum((1, 2, 3, 4)).long() - 20 - COUNT * part.y
    return [events[part.y == label].tolist() for label in range(10)]


BY_NAME = sorted(range(COUNT), key=str)


@pytest.mark.parametrize(
    ("partition", "test"), [("spikingjelly", BY_NAME[18:]), ("tebn", [0, 1]), ("random", None)], ids=str
)
def test_a_tenth_of_each_class_is_the_test_part(originals, partition, test) -> None:
    parts = CIFAR10DVS(partition=partition).load(originals, 2)
    assert tuple(parts[0].x.shape[1:]) == (2, 2, 128, 128)
    assert parts[0].classes == OBJECTS
    for train, tested in zip(*map(numbers, parts), strict=True):
        assert tested == (test or tested)
        assert len(tested) == 2
        assert train == [number for number in BY_NAME if number not in tested]


def test_frames_are_those_of_the_events(originals) -> None:
    train, _ = CIFAR10DVS().load(originals, 3)
    np.testing.assert_array_equal(train.x[0], frames(image(0, 0), 3, 128, 128, "time"))
    np.testing.assert_array_equal(train.x[9 * 18 + 1], frames(image(9, 1), 3, 128, 128, "time"))


def test_a_name_without_number_and_a_missing_class_are_refused(originals) -> None:
    truck = originals / "cifar10_dvs/truck"
    (truck / "cifar10_truck_3.aedat").rename(truck / "three.aedat")
    with pytest.raises(DataError, match=r"truck/three.aedat: a name as cifar10_airplane_12.aedat is expected"):
        CIFAR10DVS().load(originals, 2)
    (originals / "cifar10_dvs/cat.zip").unlink()
    with pytest.raises(
        DataError,
        match=r"cifar10_dvs/cat.zip: missing; put the original airplane.zip, .*, truck.zip from h",
    ):
        CIFAR10DVS().load(originals, 2)
