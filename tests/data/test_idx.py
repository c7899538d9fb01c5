"""MNIST and Fashion-MNIST: the original files against figures known elsewhere, damaged files against one line each."""

import gzip
import hashlib
import os
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from membrane.data.idx import (
    FASHION_MNIST_FILES,
    MNIST,
    MNIST_FILES,
    FashionMNIST,
    IdxFile,
    Originals,
    read_idx,
    read_labels,
)
from membrane.data.origins import Origin
from membrane.data.origins.images import idx_files
from membrane.data.samples import Samples
from membrane.data.store.sources import located_file
from membrane.errors import DataError

PIXELS = bytes([7, 0, 255, 1, 2, 3, 40, 50, 60, 128, 127, 9])  # [2,2,3]
CLASSES: dict[str, type[MNIST] | type[FashionMNIST]] = {"mnist": MNIST, "fashion_mnist": FashionMNIST}
FILES = {"mnist": MNIST_FILES, "fashion_mnist": FASHION_MNIST_FILES}


def idx(shape: Sequence[int], content: bytes, kind: int = 8) -> bytes:
    """The format as its authors describe it: 0, 0, type (8: unsigned byte), dimensions, big-endian sizes, data."""
    return bytes([0, 0, kind, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + content


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for property tests, whose examples overwrite each other's file."""
    return tmp_path_factory.mktemp("idx")


# Reading one file


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_pixels_lie_row_by_row(tmp_path: Path, name: str) -> None:
    content = idx([2, 2, 3], PIXELS)
    path = written(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    expected = [[[7, 0, 255], [1, 2, 3]], [[40, 50, 60], [128, 127, 9]]]
    assert read_idx(path, [2, 2, 3]).tolist() == expected
    assert read_idx(path, [2, 2, 3], md5(path.read_bytes())).tolist() == expected


def test_labels_are_int64_and_below_the_number_of_classes(tmp_path: Path) -> None:
    path = written(tmp_path / "labels", idx([3], bytes([2, 0, 10])))
    labels = read_labels(path, 3, 11)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [2, 0, 10]
    assert refused(lambda: read_labels(path, 3, 10)).startswith(f"{path}: label 10 at place 2, 0 to 9 expected; ")


WHOLE = idx([2, 2, 3], PIXELS)
PACKED = gzip.compress(WHOLE)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x", b"", "only 0 bytes, 28 expected"),
        ("x", WHOLE[:7], "only 7 bytes, 28 expected"),
        ("x", WHOLE[:-1], "only 27 bytes, 28 expected"),
        ("x", WHOLE + b"\0", "too many bytes, 28 expected"),
        ("x", idx([12], PIXELS), "magic number is 2049, 2051 expected"),
        ("x", idx([2, 2, 3], PIXELS, kind=13), "magic number is 3331, 2051 expected"),
        ("x", PACKED, f"magic number is {int.from_bytes(PACKED[:4], 'big')}, 2051 expected"),
        ("x", idx([3, 2, 3], PIXELS + PIXELS[:6]), "dimensions are [3, 2, 3], [2, 2, 3] expected"),
        ("x", idx([2, 3, 2], PIXELS), "dimensions are [2, 3, 2], [2, 2, 3] expected"),
        ("x.gz", b"", "not a gzip file"),
        ("x.gz", WHOLE, "not a gzip file"),
        ("x.gz", b"<html>", "not a gzip file"),
        ("x.gz", PACKED[:2], "truncated gzip"),
        ("x.gz", PACKED[:-9], "truncated gzip"),
        ("x.gz", PACKED[:-1], "truncated gzip"),
        ("x.gz", PACKED[:-8] + zlib.crc32(b"other").to_bytes(4, "little") + PACKED[-4:], "corrupt gzip"),
        ("x.gz", PACKED + b"\0", "1 bytes after the end of the gzip"),
        ("x.gz", gzip.compress(WHOLE[:-1]), "only 27 bytes, 28 expected"),
        ("x.gz", gzip.compress(WHOLE + b"\0"), "too many bytes, 28 expected"),
        ("x.gz", gzip.compress(idx([12], PIXELS)), "magic number is 2049, 2051 expected"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_damage_is_named_with_file_and_reason(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = written(tmp_path / name, content)
    message = refused(lambda: read_idx(path, [2, 2, 3]))
    assert message.startswith(f"{path}: {why}")
    assert message.endswith("; replace it by the original")


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "x.gz", gzip.compress(WHOLE + bytes(10_000_000)))
    tracemalloc.start()
    assert "too many bytes" in refused(lambda: read_idx(path, [2, 2, 3]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@given(data=st.data(), packed=st.booleans())
def test_what_was_written_is_read(folder: Path, data: st.DataObject, packed: bool) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    size = int(np.prod(shape))
    pixels = data.draw(st.binary(min_size=size, max_size=size))
    content = idx(shape, pixels)
    path = written(folder / f"x{'.gz' * packed}", gzip.compress(content) if packed else content)
    array = read_idx(path, shape, md5(path.read_bytes()))
    assert array.shape == tuple(shape)
    assert array.tobytes() == pixels


@given(data=st.data(), packed=st.booleans())
def test_no_part_of_a_file_and_nothing_longer_is_taken(folder: Path, data: st.DataObject, packed: bool) -> None:
    content = PACKED if packed else WHOLE
    cut = data.draw(st.integers(0, len(content) - 1))
    more = data.draw(st.binary(min_size=1, max_size=40))
    for wrong in (content[:cut], content + more):
        path = written(folder / f"x{'.gz' * packed}", wrong)
        assert str(path) in refused(partial(read_idx, path, [2, 2, 3]))
        assert "md5" in refused(partial(read_idx, path, [2, 2, 3], md5(content)))


@given(data=st.data(), packed=st.booleans())
def test_no_flipped_bit_passes_the_checksum(folder: Path, data: st.DataObject, packed: bool) -> None:
    content = PACKED if packed else WHOLE
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    path = written(folder / f"x{'.gz' * packed}", flipped(content, bit))
    assert "md5" in refused(lambda: read_idx(path, [2, 2, 3], md5(content)))


@pytest.mark.parametrize("packed", [False, True])
def test_without_a_checksum_no_flipped_bit_changes_what_gzip_or_the_header_guards(tmp_path: Path, packed: bool) -> None:
    for bit in range(8 * len(PACKED if packed else WHOLE[:16])):
        path = written(tmp_path / f"x{'.gz' * packed}", flipped(PACKED if packed else WHOLE, bit))
        try:
            pixels = read_idx(path, [2, 2, 3]).tobytes()
        except DataError:
            continue
        assert packed  # of gzip's own header some bits mean nothing: time, system
        assert pixels == PIXELS


# Finding, checking and reading the four files of a data set


def small(root: Path, place: str = "small", end: str = ".gz", mirrors: tuple[str, ...] = ()) -> Originals:
    """3 training and 2 test images [2,2], written to ``place`` with names that end in ``end``."""
    contents = {
        "train-images": ((3, 2, 2), bytes(range(12))),
        "train-labels": ((3,), bytes([1, 0, 2])),
        "test-images": ((2, 2, 2), bytes(range(100, 108))),
        "test-labels": ((2,), bytes([2, 1])),
    }
    files, digests = [], {}
    for name, (shape, content) in contents.items():
        inside = idx(shape, content)
        outside = gzip.compress(inside, mtime=0)
        written(root / place / f"{name}{end}", outside if end else inside)
        files.append(IdxFile(name, shape, md5(inside)))
        digests[name] = f"md5:{md5(outside)}"
    sources = idx_files(digests, *mirrors)
    origin = Origin("small", licence="none", page="https://small", size=1, files=sources, folders=("Small/raw",))
    return Originals(origin, (files[0], files[1]), (files[2], files[3]), classes=3)


@pytest.mark.parametrize(
    ("place", "end"), [("small", ".gz"), ("small", ""), ("Small/raw", ".gz"), ("Small/raw", "")], ids=str
)
def test_either_layout_packed_or_not_gives_the_same_samples(tmp_path: Path, place: str, end: str) -> None:
    train, test = small(tmp_path, place, end).load(tmp_path)
    assert train.x.dtype == torch.uint8
    assert train.x.tolist() == [[[[0, 1], [2, 3]]], [[[4, 5], [6, 7]]], [[[8, 9], [10, 11]]]]
    assert test.x.tolist() == [[[[100, 101], [102, 103]]], [[[104, 105], [106, 107]]]]
    assert (train.y.tolist(), test.y.tolist()) == ([1, 0, 2], [2, 1])
    assert (train.recording.tolist(), test.recording.tolist()) == ([0, 1, 2], [0, 1])
    assert train.scale == test.scale == 1 / 255


def test_our_layout_comes_before_torchvisions_and_packed_before_unpacked(tmp_path: Path) -> None:
    originals = small(tmp_path, "small", ".gz")
    small(tmp_path, "small", "")
    small(tmp_path, "Small/raw", ".gz")
    small(tmp_path, "Small/raw", "")
    order = ["small/train-labels.gz", "small/train-labels", "Small/raw/train-labels.gz", "Small/raw/train-labels"]
    for place in order:
        path = located_file(tmp_path, originals.origin, "train-labels.gz")
        assert path == tmp_path / place
        path.unlink()


@pytest.mark.parametrize(("place", "end"), [("small", ".gz"), ("Small/raw", "")])
@pytest.mark.parametrize("name", ["train-images", "train-labels", "test-images", "test-labels"])
def test_a_damaged_file_is_named_and_not_passed_over(tmp_path: Path, place: str, end: str, name: str) -> None:
    originals = small(tmp_path, place, end)
    small(tmp_path, "Small/raw", ".gz" if not end else "")  # a whole copy elsewhere does not excuse it
    path = tmp_path / place / f"{name}{end}"
    if not end:
        path.with_suffix(".gz").unlink()
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(lambda: originals.load(tmp_path)).startswith(f"{path}: md5 is ")


def test_as_many_labels_as_images(tmp_path: Path) -> None:
    originals = small(tmp_path)
    content = gzip.compress(idx([2], bytes([1, 0])))
    path = written(tmp_path / "small/train-labels.gz", content)
    sources = [
        replace(file, digest=f"md5:{md5(content)}") if "train-labels" in file.name else file
        for file in originals.origin.files
    ]
    changed = replace(originals, origin=replace(originals.origin, files=tuple(sources)))
    message = refused(lambda: changed.load(tmp_path))
    assert message.startswith(f"{path}: dimensions are [2], [3] expected")


def test_what_is_missing_is_downloaded_packed_into_our_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    requests = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served/files"))
    with ThreadingHTTPServer(("127.0.0.1", 0), requests) as server:
        originals = small(tmp_path / "served", "files", mirrors=(f"http://127.0.0.1:{server.server_port}/",))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        written(tmp_path / "Small/raw/train-labels", idx([3], bytes([1, 0, 2])))
        try:
            train, test = originals.load(tmp_path)
        finally:
            server.shutdown()
    assert (train.y.tolist(), test.y.tolist()) == ([1, 0, 2], [2, 1])
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == [
        "test-images.gz",
        "test-labels.gz",
        "train-images.gz",
    ]


def test_what_is_missing_and_not_to_be_had_is_said_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"127.0.0.1:{listener.getsockname()[1]}"
    originals = small(tmp_path, mirrors=(f"http://{nobody}/",))
    written(tmp_path / "small/train-images.gz", b"damaged")
    path = tmp_path / "small/test-labels.gz"
    path.unlink()
    assert refused(lambda: originals.load(tmp_path)) == (
        f"{path}: missing, and could not be downloaded ({nobody}: no connection (ConnectionError)); "
        "put the original train-images.gz, train-labels.gz, test-images.gz, test-labels.gz from https://small into "
        f"{tmp_path / 'small'}, or set paths.data to the folder above its own"
    )


@pytest.mark.parametrize(("name", "theirs"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_classes_are_called_as_in_torchvision(name: str, theirs: str) -> None:
    names = FILES[name].names
    if names is not None:  # MNIST's are the digits, with the word beside each in torchvision
        assert list(names) == getattr(import_module("torchvision.datasets"), theirs).classes


def test_a_damaged_original_is_answered_with_what_helps(tmp_path: Path) -> None:
    for name in ("mnist", "fashion_mnist"):
        for path in (f"{name}/train-labels-idx1-ubyte.gz", f"{name}/train-labels-idx1-ubyte"):
            message = refused(partial(read_labels, written(tmp_path / path, b"?"), 3, 10))
            assert message.endswith("; delete it, and the original is downloaded")
    path = written(tmp_path / "mnist" / "mine", b"?")
    assert refused(lambda: read_labels(path, 3, 10)).endswith(
        "; replace it by the original, from http://yann.lecun.com/exdb/mnist/"
    )


def test_clothes_have_names() -> None:
    assert FASHION_MNIST_FILES.names is not None


# The original data


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(os.environ.get("MEMBRANE_DATA", "data"))


@pytest.fixture(scope="module", params=["mnist", "fashion_mnist"])
def name(request: pytest.FixtureRequest, root: Path) -> str:
    """A data set whose four original .gz are there."""
    chosen: str = request.param
    if not all((root / chosen / f"{file.name}.gz").is_file() for file in (*FILES[chosen].train, *FILES[chosen].test)):
        pytest.skip(f"needs real data: set MEMBRANE_DATA to a folder that holds {chosen}/ (no data in {root})")
    return chosen


@pytest.fixture(scope="module")
def loaded(name: str, root: Path) -> tuple[Samples, Samples]:
    return CLASSES[name]().load(root, timesteps=4)


def test_sizes(loaded: tuple[Samples, Samples]) -> None:
    for samples, n in zip(loaded, (60_000, 10_000), strict=True):
        assert (samples.x.shape, samples.x.dtype) == ((n, 1, 28, 28), torch.uint8)
        assert (samples.y.shape, samples.y.dtype) == ((n,), torch.int64)
        assert torch.equal(samples.recording, torch.arange(n))


def test_mean_and_deviation_are_the_published_ones(name: str, loaded: tuple[Samples, Samples]) -> None:
    mean, deviation = {"mnist": (0.13066, 0.30811), "fashion_mnist": (0.28604, 0.35302)}[name]
    parts, scale, n = loaded[0].x.chunk(12), loaded[0].scale, loaded[0].x.numel()
    first = scale * sum(int(part.sum()) for part in parts) / n
    second = scale**2 * sum(int(part.int().square().sum()) for part in parts) / n
    assert first == pytest.approx(mean, abs=5e-6)
    assert (second - first**2) ** 0.5 == pytest.approx(deviation, abs=5e-6)


def test_classes_are_as_frequent_as_known(name: str, loaded: tuple[Samples, Samples]) -> None:
    known = {
        "mnist": (
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
        "fashion_mnist": ([6000] * 10, [1000] * 10),
    }
    assert tuple(samples.y.bincount().tolist() for samples in loaded) == known[name]


def test_torchvision_reads_the_same_from_its_own_layout(
    name: str, root: Path, loaded: tuple[Samples, Samples], tmp_path: Path
) -> None:
    datasets = import_module("torchvision.datasets")
    files = FILES[name]
    raw = tmp_path / CLASSES[name].__name__ / "raw"
    for file in (*files.train, *files.test):
        written(raw / file.name, gzip.decompress((root / name / f"{file.name}.gz").read_bytes()))
    ours = CLASSES[name]().load(tmp_path, timesteps=4)
    for train, part, samples in zip((True, False), ours, loaded, strict=True):
        theirs = getattr(datasets, CLASSES[name].__name__)(tmp_path, train=train)
        assert torch.equal(part.x[:, 0], theirs.data)
        assert torch.equal(part.y, theirs.targets)
        assert torch.equal(part.x, samples.x)
        assert torch.equal(part.y, samples.y)

    path = raw / files.test[1].name
    content = path.read_bytes()
    path.write_bytes(flipped(content, 8 * len(content) - 8))  # still a label of the ten: only the checksum can tell
    assert refused(lambda: CLASSES[name]().load(tmp_path, timesteps=4)).startswith(f"{path}: md5 is ")
