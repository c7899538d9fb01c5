"""CIFAR from small files in the original formats, and the original records where they are."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_data import real_data

from membrane.data import cifar
from membrane.data.cifar import CIFAR10, CIFAR100, CIFAR10Mini
from membrane.errors import DataError

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


class Small(CIFAR10):
    """Two training files of three images, one test file of two."""

    files = {"train": ["data_batch_1", "data_batch_2"], "test": ["test_batch"]}
    counts = {"train": 3, "test": 2}


class Small100(CIFAR100):
    counts = {"train": 3, "test": 2}


def records(images: np.ndarray, *labels: list[int]) -> bytes:
    """Bytes of labels, and behind them red, green and blue by rows."""
    rows = zip(*labels, images, strict=True)
    return b"".join(bytes(numbers) + image.tobytes() for *numbers, image in rows)


def write_small(root: Path) -> None:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "data_batch_1.bin").write_bytes(records(IMAGES, [9, 0, 1]))
    (folder / "data_batch_2.bin").write_bytes(records(IMAGES[::-1], [2, 3, 4]))
    (folder / "test_batch.bin").write_bytes(records(IMAGES[:2], [5, 6]))


def test_the_binary_version_is_read_as_it_is_written(tmp_path) -> None:
    write_small(tmp_path)
    train, test = Small().load(tmp_path, 4)
    assert train.x.numpy().tolist() == np.concatenate([IMAGES, IMAGES[::-1]]).tolist()
    assert (train.y.tolist(), test.y.tolist()) == ([9, 0, 1, 2, 3, 4], [5, 6])
    assert train.recording.tolist() == list(range(6))
    assert test.x.numpy().tolist() == IMAGES[:2].tolist()
    assert (train.scale, train.classes[9]) == (1 / 255, "truck")


def test_the_class_of_cifar100_is_the_fine_label(tmp_path) -> None:
    (tmp_path / "cifar100").mkdir()
    (tmp_path / "cifar100" / "train.bin").write_bytes(records(IMAGES, [19, 0, 1], [99, 3, 4]))
    (tmp_path / "cifar100" / "test.bin").write_bytes(records(IMAGES[:2], [0, 1], [7, 8]))
    train, test = Small100().load(tmp_path, 4)
    assert (train.y.tolist(), test.y.tolist()) == ([99, 3, 4], [7, 8])
    assert train.x.numpy().tolist() == IMAGES.tolist()


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("pickled"),))


def test_pythons_version_is_read_only_if_it_is_the_published_one(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    batches = {"data_batch_1": [9, 0, 1], "data_batch_2": [2, 3, 4], "test_batch": [5, 6]}
    for name, labels in batches.items():
        batch = {b"data": IMAGES[: len(labels)].reshape(len(labels), -1), b"labels": labels}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(
        DataError, match=r"data_batch_1: is not the file of .* a pickle is read only if its md5 is known"
    ):
        Small().load(tmp_path, 4)
    known = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in batches}
    monkeypatch.setattr(cifar, "PICKLES", known)
    train, test = Small().load(tmp_path, 4)
    assert train.x.numpy().tolist() == np.concatenate([IMAGES, IMAGES]).tolist()
    assert (train.y.tolist(), test.y.tolist()) == ([9, 0, 1, 2, 3, 4], [5, 6])
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": Evil(), b"labels": [0, 0]}))
    known["test_batch"] = hashlib.md5((folder / "test_batch").read_bytes()).hexdigest()
    with pytest.raises(DataError, match=r"a pickle asks for .*, which is no array"):
        Small().load(tmp_path, 4)
    assert not Path("pickled").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (records(IMAGES, [1, 2, 3])[:-1], "data_batch_2.bin: has 9218 bytes, 9219 expected: 3 images of 3073"),
        (records(IMAGES, [1, 10, 3]), "data_batch_2.bin: image 1 has label 10, 0 to 9 expected"),
        (b"", "has 0 bytes, 9219 expected"),
    ],
)
def test_damaged_files_are_named(tmp_path, content: bytes, line: str) -> None:
    write_small(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(DataError, match=line):
        Small().load(tmp_path, 4)


def test_a_missing_file_is_told_of_with_its_archive(tmp_path) -> None:
    with pytest.raises(DataError, match=r"cifar10/cifar-10-python.tar.gz: missing, and could not be downloaded"):
        CIFAR10().load(tmp_path, 4)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").touch()
    with pytest.raises(DataError, match=r"cifar-10-batches-py/data_batch_1: missing; "):
        CIFAR10().load(tmp_path, 4)
    with pytest.raises(DataError, match=r"data_batch_1_first1000.bin: missing; cut the first 3073000 bytes of data_"):
        CIFAR10Mini().load(tmp_path, 4)


def test_the_original_records() -> None:
    """The first training image is a frog, the first test image a cat; the mean is near that of all images."""
    train, test = CIFAR10Mini().load(real_data("cifar10_mini"), 4)
    assert (tuple(train.x.shape), tuple(test.x.shape)) == ((1000, 3, 32, 32), (500, 3, 32, 32))
    assert (train.classes[train.y[0]], test.classes[test.y[0]]) == ("frog", "cat")
    mean = train.x.float().mean((0, 2, 3)) / 255
    np.testing.assert_allclose(
        mean, [0.4914, 0.4822, 0.4465], atol=0.02
    )  # of all training images, as torchvision's users have it
