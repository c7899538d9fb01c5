"""CIFAR-10 and CIFAR-100: small photographs, from the binary version or from Python's."""

import hashlib
import io
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from membrane.data.image_file import PictureFiles
from membrane.data.origins import ORIGINS
from membrane.data.samples import Samples
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns
from membrane.data.store.sources import damaged_file, original_content, original_file
from membrane.errors import DataError

PIXELS = 3 * 32 * 32
PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PICKLES = {  # md5, from torchvision's cifar.py
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}


class CIFAR10(PictureFiles):
    """50,000 training and 10,000 test images, x [n,3,32,32] uint8 with scale 1/255, 10 classes.

    Krizhevsky 2009, Learning multiple layers of features from tiny images.
    """

    name: ClassVar[str] = "cifar10"
    files: ClassVar[Mapping[str, Sequence[str]]] = {
        "train": [f"data_batch_{number}" for number in range(1, 6)],
        "test": ["test_batch"],
    }
    counts: ClassVar[Mapping[str, int]] = {"train": 10_000, "test": 10_000}
    """Images in each file of a part."""
    labels: ClassVar[int] = 1
    """Bytes of labels in front of an image, of which the last is the class."""
    classes: ClassVar[Sequence[str] | None] = CLASSES
    number_of_classes: ClassVar[int] = 10
    key: ClassVar[bytes] = b"labels"
    """Of the labels in Python's version."""

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train, test) in the files' order. Raises DataError if a file is missing or damaged."""
        paths = self.paths(root)
        parts = {part: partial(self.batches, paths[part], self.counts[part]) for part in paths}
        files = [path for each in paths.values() for path in each]
        return load_cached(root, self.name, {"version": 1}, files, parts, scale=1 / 255, classes=self.classes)

    def paths(self, root: Path) -> dict[str, list[Path]]:
        """Return the files of each part, all in one version, downloaded if there are none.

        Raises DataError if one is missing.
        """
        origin = ORIGINS[self.name]
        test = original_content(root, origin, origin.files[0].name)
        every = {part: [test.with_name(name + test.suffix) for name in names] for part, names in self.files.items()}
        for path in (path for paths in every.values() for path in paths):
            if not path.is_file():
                raise damaged_file(path, "missing", origin)
        return every

    def batches(self, paths: Sequence[Path], count: int) -> Iterator[Columns]:
        """Yield the columns of each file; every image is a recording."""
        for number, path in enumerate(paths):
            x, y = (self.binary if path.suffix == ".bin" else self.pickled)(path, count)
            if len(wrong := np.flatnonzero((y < 0) | (y >= self.number_of_classes))):
                reached = f"image {wrong[0]} has label {y[wrong[0]]}, 0 to {self.number_of_classes - 1} expected"
                raise DataError(f"{path}: {reached}")
            yield {"x": x.reshape(-1, 3, 32, 32), "y": y, "recording": number * count + np.arange(count)}

    def binary(self, path: Path, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return images [n,3072] and classes [n] of a file of the binary version. Raises DataError for another size."""
        row = self.labels + PIXELS
        if (size := path.stat().st_size) != count * row:
            raise DataError(f"{path}: has {size} bytes, {count * row} expected: {count} images of {row}")
        rows = np.fromfile(path, np.uint8).reshape(count, row)
        return rows[:, self.labels :], rows[:, self.labels - 1].astype(np.int64)

    def pickled(self, path: Path, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return images [n,3072] and classes [n] of a file of Python's version. Raises DataError unless it is known."""
        content = path.read_bytes() if path.stat().st_size < 2**28 else b""
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != PICKLES.get(path.name):
            raise DataError(f"{path}: is not the file of {PAGE}: a pickle is read only if its md5 is known")
        batch = ArraysAlone(io.BytesIO(content), encoding="bytes").load()
        return np.asarray(batch[b"data"], np.uint8).reshape(count, PIXELS), np.asarray(batch[self.key], np.int64)


class CIFAR10Mini(CIFAR10):
    """The first 1000 training and the first 500 test images of CIFAR-10's first batches."""

    name = "cifar10_mini"
    files: ClassVar = {"train": ["data_batch_1_first1000"], "test": ["test_batch_first500"]}
    counts: ClassVar = {"train": 1000, "test": 500}

    def paths(self, root: Path) -> dict[str, list[Path]]:
        """Return the file of each part. Raises DataError if it is missing."""
        origin = ORIGINS[self.name]
        return {part: [original_file(root, origin, f"{name}.bin")] for part, [name] in self.files.items()}


class CIFAR100(CIFAR10):
    """50,000 training and 10,000 test images, x [n,3,32,32] uint8 with scale 1/255, 100 classes, numbered as published.

    Krizhevsky 2009, Learning multiple layers of features from tiny images.
    """

    name = "cifar100"
    files: ClassVar = {"train": ["train"], "test": ["test"]}
    counts: ClassVar = {"train": 50_000, "test": 10_000}
    labels = 2  # coarse, then fine
    classes = None
    number_of_classes = 100
    key = b"fine_labels"


class ArraysAlone(pickle.Unpickler):
    """Reads a pickle of NumPy arrays and plain values; any other class is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what builds an array. Raises DataError for everything else."""
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them for Python 2
            return lambda text, encoding: text.encode(encoding)
        builders: dict[str, Callable[..., Any]] = {
            "ndarray": np.ndarray,
            "dtype": np.dtype,
            "_reconstruct": np.empty(0).__reduce__()[0],  # type: ignore[dict-item]
        }
        if not module.startswith("numpy") or name not in builders:
            raise DataError(f"a pickle asks for {module}.{name}, which is no array")
        return builders[name]
