"""MNIST and Fashion-MNIST, from the original files in idx format."""

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from membrane.data.image_file import PictureFiles
from membrane.data.origins import ORIGINS, Origin
from membrane.data.samples import Samples
from membrane.data.store.download import READ_SECONDS
from membrane.data.store.sources import damaged_file, located_file, read_verified

UNSIGNED_BYTES = 0x0800  # plus the number of dimensions: the magic number
SCALE = 1 / 255
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class IdxFile:
    """A file of unsigned bytes [*shape]: its name without .gz, and the md5 of its content, not that of the .gz."""

    name: str
    shape: tuple[int, ...]
    unpacked: str


@dataclass(frozen=True)
class Originals:
    """The original files of a data set: images [n,H,W] and labels [n] of each part.

    Arguments:
        origin: where they come from.
        train, test: images and labels of each part.
        classes: K; 10 in all data sets of this format.
        names: of the classes, in the order of their labels; None: they are the digits.
        seconds: the longest silence of a server.
    """

    origin: Origin
    train: tuple[IdxFile, IdxFile]
    test: tuple[IdxFile, IdxFile]
    classes: int = 10
    names: tuple[str, ...] | None = None
    seconds: float = READ_SECONDS

    def load(self, root: Path) -> tuple[Samples, Samples]:
        """Return (train, test), x [n,1,H,W] uint8. Raises DataError if a file is not available, or not the original."""
        files = (*self.train, *self.test)  # before any is read
        paths = {file.name: located_file(root, self.origin, f"{file.name}.gz", self.seconds) for file in files}
        train, test = (self.samples(paths, *part) for part in (self.train, self.test))
        return train, test

    def md5(self, path: Path, file: IdxFile) -> str:
        """Return the md5 that a file's ``path`` must have, compressed or not."""
        published = self.origin.file(f"{file.name}.gz").digest or ""
        return published.removeprefix("md5:") if path.suffix == ".gz" else file.unpacked

    def samples(self, paths: dict[str, Path], images: IdxFile, labels: IdxFile) -> Samples:
        """Read one part, x [n,1,H,W]; every image is a recording, numbered by its position in the part."""
        x = read_idx(paths[images.name], images.shape, self.md5(paths[images.name], images))
        y = read_labels(paths[labels.name], labels.shape[0], self.classes, self.md5(paths[labels.name], labels))
        return Samples(torch.from_numpy(x[:, None]), y, scale=SCALE, classes=self.names)


def read_idx(path: Path, shape: Sequence[int], md5: str | None = None) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes [*shape], compressed if its name ends in .gz.

    Magic number and dimensions are big-endian u32, followed by the bytes in row-major order. Raises DataError if the
    file holds anything else, or has another md5 (None: not checked).
    """
    content = read_verified(path, md5)
    header = struct.pack(f">{1 + len(shape)}I", UNSIGNED_BYTES + len(shape), *shape)
    size = len(header) + math.prod(shape)
    if path.suffix == ".gz":
        content = gunzip(path, content, size)
    if content[: len(header)] != header[: len(content)]:
        raise damaged_file(path, describe_mismatch(content, shape))
    if len(content) != size:
        raise damaged_file(
            path, f"{'too many' if len(content) > size else f'only {len(content)}'} bytes, {size} expected"
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape).copy()


def gunzip(path: Path, content: bytes, size: int) -> bytes:
    """Decompress at most ``size`` bytes and one more. Raises DataError unless the content is one whole gzip member."""
    if not content.startswith(b"\x1f\x8b"):
        raise damaged_file(path, "not a gzip file")
    member = zlib.decompressobj(GZIP)
    try:
        decompressed = member.decompress(content, size + 1)
    except zlib.error as error:
        raise damaged_file(path, f"corrupt gzip ({error})") from error
    if len(decompressed) <= size and not member.eof:
        raise damaged_file(path, "truncated gzip")
    if member.unused_data:
        raise damaged_file(path, f"{len(member.unused_data)} bytes after the end of the gzip")
    return decompressed


def describe_mismatch(content: bytes, shape: Sequence[int]) -> str:
    """Describe how the header in ``content`` differs from that of unsigned bytes [*shape]."""
    expected = UNSIGNED_BYTES + len(shape)
    header = [number for (number,) in struct.iter_unpack(">I", content[: min(len(content) // 4, 1 + len(shape)) * 4])]
    if header and header[0] != expected:
        return f"magic number is {header[0]}, {expected} expected"
    return f"dimensions are {header[1:]}, {list(shape)} expected"


def read_labels(path: Path, count: int, classes: int, md5: str | None = None) -> Tensor:
    """Read labels int64 [count]. Raises DataError as `read_idx`, and for a label that is not below ``classes``."""
    labels = read_idx(path, [count], md5)
    if len(wrong := np.flatnonzero(labels >= classes)):
        raise damaged_file(path, f"label {labels[wrong[0]]} at place {wrong[0]}, 0 to {classes - 1} expected")
    return torch.from_numpy(labels.astype(np.int64))


MNIST_FILES = Originals(
    origin=ORIGINS["mnist"],
    train=(
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"),
        IdxFile("train-labels-idx1-ubyte", (60_000,), "a25bea736e30d166cdddb491f175f624"),
    ),
    test=(
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), "2646ac647ad5339dbf082846283269ea"),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), "27ae3e4e09519cfbb04c329615203637"),
    ),
)

FASHION_MNIST_FILES = Originals(
    origin=ORIGINS["fashion_mnist"],
    names=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    train=(
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        IdxFile("train-labels-idx1-ubyte", (60_000,), "9018921c3c673c538a1fc5bad174d6f9"),
    ),
    test=(
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), "8181f5470baa50b63fa0f6fddb340f0a"),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), "15d484375f8d13e6eb1aabb0c3f46965"),
    ),
)


class MNIST(PictureFiles):
    """60 000 training and 10 000 test images of handwritten digits, x [n,1,28,28] uint8 with scale 1/255, 10 classes.

    LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition, Proc. IEEE 86(11).
    """

    scale = SCALE

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test) in the files' order; static images do not depend on ``timesteps``."""
        return MNIST_FILES.load(root)


class FashionMNIST(PictureFiles):
    """60 000 training and 10 000 test images of clothes, x [n,1,28,28] uint8 with scale 1/255, 10 classes.

    Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.
    """

    scale = SCALE

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test) in the files' order; static images do not depend on ``timesteps``."""
        return FASHION_MNIST_FILES.load(root)
