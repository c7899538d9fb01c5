"""N-Caltech101: small files in the original format, classes of different sizes."""

from pathlib import Path

import numpy as np
import pytest
from event_files import nmnist_bytes, recording

from membrane.data.ncaltech101 import NCaltech101
from membrane.errors import DataError

SIZES = {"Faces_easy": 21, "BACKGROUND_Google": 10, "accordion": 30}


@pytest.fixture
def originals(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(NCaltech101, "count", sum(SIZES.values()))
    monkeypatch.setattr(NCaltech101, "class_count", 3)
    for name, size in SIZES.items():
        folder = tmp_path / "ncaltech101/Caltech101" / name
        folder.mkdir(parents=True)
        for number in range(1, size + 1):
            (folder / f"image_{number:04}.bin").write_bytes(nmnist_bytes(recording(number, 240, 180)))
    return tmp_path


def test_classes_are_the_folders_and_keep_their_shares(originals) -> None:
    train, test = NCaltech101(downsample=4).load(originals, 2)
    assert tuple(train.x.shape[1:]) == (2, 2, 45, 60)
    assert train.classes == ["BACKGROUND_Google", "Faces_easy", "accordion"]
    assert (train.y.bincount().tolist(), test.y.bincount().tolist()) == ([9, 19, 27], [1, 2, 3])
    numbers = [part.x.sum((1, 2, 3, 4)) for part in (train, test)]
    for label, size in enumerate((10, 21, 30)):
        both = [part[y == label].tolist() for part, y in zip(numbers, (train.y, test.y), strict=True)]
        assert sorted(both[0] + both[1]) == list(range(1, size + 1))


def test_the_last_of_each_class_by_name(originals) -> None:
    _, test = NCaltech101(partition="spikingjelly").load(originals, 1)
    assert test.x.sum((1, 2, 3, 4)).tolist() == [10, 20, 21, 28, 29, 30]
    np.testing.assert_array_equal(test.y, [0, 1, 1, 2, 2, 2])


def test_a_missing_class_is_refused(originals, monkeypatch) -> None:
    monkeypatch.setattr(NCaltech101, "class_count", 101)
    with pytest.raises(DataError, match="Caltech101: 3 folders of classes, 101 expected; "):
        NCaltech101().load(originals, 2)
