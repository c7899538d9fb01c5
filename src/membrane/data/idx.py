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

from membrane.data.samples import Samples
from membrane.data.store.download import READ_SECONDS, damaged_file, obtain, read_verified

UNSIGNED_BYTES = 0x0800  # plus the number of dimensions: the magic number
SCALE = 1 / 255
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class IdxFile:
    """A file of unsigned bytes [*shape]: its name without .gz, the md5 of the .gz, and that of the file itself."""

    name: str
    shape: tuple[int, ...]
    packed: str
    unpacked: str

    def md5(self, path: Path) -> str:
        """Return the md5 that ``path`` must have."""
        return self.packed if path.suffix == ".gz" else self.unpacked


@dataclass(frozen=True)
class Originals:
    """The original files of a data set, and where to find them.

    Arguments:
        folder: below ``paths.data``, to which files are downloaded; it may hold the .gz or the file itself.
        torchvision: the folder that torchvision keeps its copy in, which is read too.
        mirrors: folders on the web, tried in order.
        train, test: images [n,H,W] and labels [n] of each part.
        classes: K; 10 in all data sets of this format.
        seconds: the longest silence of a server.
        names: of the classes, in the order of their labels; None: they are the digits.
    """

    folder: str
    torchvision: str
    mirrors: tuple[str, ...]
    train: tuple[IdxFile, IdxFile]
    test: tuple[IdxFile, IdxFile]
    classes: int = 10
    seconds: float = READ_SECONDS
    names: tuple[str, ...] | None = None

    def load(self, root: Path) -> tuple[Samples, Samples]:
        """Return (train, test), x [n,1,H,W] uint8. Raises DataError if a file is not available, or not the original."""
        paths = {file.name: self.path(root, file) for file in (*self.train, *self.test)}  # before any is read
        train, test = (self.samples(paths, *part) for part in (self.train, self.test))
        return train, test

    def path(self, root: Path, file: IdxFile) -> Path:
        """Return the file's path, and download it if it is in neither folder."""
        folders = self.folder, f"{self.torchvision}/raw"
        candidates = [f"{folder}/{file.name}{end}" for folder in folders for end in (".gz", "")]
        names = ", ".join(f"{file.name}.gz" for file in (*self.train, *self.test))
        advice = f"put the original {names} into {root / self.folder}, or set paths.data to the folder above theirs"
        return obtain(root, candidates, file.packed, self.mirrors, advice, self.seconds)

    def samples(self, paths: dict[str, Path], images: IdxFile, labels: IdxFile) -> Samples:
        """Read one part, x [n,1,H,W]; every image is a recording, numbered by its position in the part."""
        x = read_idx(paths[images.name], images.shape, images.md5(paths[images.name]))
        y = read_labels(paths[labels.name], labels.shape[0], self.classes, labels.md5(paths[labels.name]))
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
    folder="mnist",
    torchvision="MNIST",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
        "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
    ),
    train=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            packed="f68b3c2dcbeaaa9fbdd348bbdeb94873",
            unpacked="6bbc9ace898e44ae57da46a324031adb",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            packed="d53e105ee54ea40749a09fcbcd1e9432",
            unpacked="a25bea736e30d166cdddb491f175f624",
        ),
    ),
    test=(
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            packed="9fb629c4189551a2d022fa330f9573f3",
            unpacked="2646ac647ad5339dbf082846283269ea",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            packed="ec29112dd5afa0611ce80d1b7f02629c",
            unpacked="27ae3e4e09519cfbb04c329615203637",
        ),
    ),
)

FASHION_MNIST_FILES = Originals(
    folder="fashion_mnist",
    torchvision="FashionMNIST",
    names=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the authors', and torchvision's
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",  # the authors' repository
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",  # Keras'
    ),
    train=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            packed="8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            unpacked="f4a8712d7a061bf5bd6d2ca38dc4d50a",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            packed="25c81989df183df01b3e8a0aad5dffbe",
            unpacked="9018921c3c673c538a1fc5bad174d6f9",
        ),
    ),
    test=(
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            packed="bef4ecab320f06d8554ea6380940ec79",
            unpacked="8181f5470baa50b63fa0f6fddb340f0a",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            packed="bb300cfdad3c16e7a12a480ee83cd310",
            unpacked="15d484375f8d13e6eb1aabb0c3f46965",
        ),
    ),
)


class MNIST:
    """60 000 training and 10 000 test images of handwritten digits, x [n,1,28,28] uint8 with scale 1/255, 10 classes.

    LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition, Proc. IEEE 86(11).
    """

    scale = SCALE

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test) in the files' order; static images do not depend on ``timesteps``."""
        return MNIST_FILES.load(root)


class FashionMNIST:
    """60 000 training and 10 000 test images of clothes, x [n,1,28,28] uint8 with scale 1/255, 10 classes.

    Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.
    """

    scale = SCALE

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test) in the files' order; static images do not depend on ``timesteps``."""
        return FASHION_MNIST_FILES.load(root)
