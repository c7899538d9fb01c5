"""Arrays are described by their headers alone, and a damaged file is named."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from membrane.data import array_file
from membrane.data.array_file import array_entries
from membrane.errors import DataError

WRITERS = {"npz": np.savez, "compressed": np.savez_compressed}


def saved(folder: Path, form: str, **values: np.ndarray) -> Path:
    """Write arrays in a form and return the path."""
    if form == "npy":
        for name, each in values.items():
            np.save(folder / f"{name}.npy", each)
        return folder
    WRITERS[form](folder / "data.npz", **values)
    return folder / "data.npz"


@pytest.mark.parametrize("form", ["npy", "npz", "compressed"])
@given(st.data())
def test_values_and_headers_are_those_that_numpy_wrote(tmp_path_factory, form: str, data) -> None:
    dtype = data.draw(arrays.scalar_dtypes().filter(lambda dtype: dtype.kind in "biufU"))
    x = data.draw(arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))
    x = np.asfortranarray(x) if data.draw(st.booleans()) else x
    path = saved(tmp_path_factory.mktemp("arrays"), form, x=x, other=np.arange(3))
    entries = array_entries(path)
    assert entries.keys() == {"x", "other"}
    entry = entries["x"]
    assert (entry.shape, entry.dtype, entry.nbytes) == (x.shape, x.dtype, x.nbytes)
    np.testing.assert_array_equal(entry.values(), x)
    if x.ndim:
        np.testing.assert_array_equal(np.concatenate([*entry.pieces(), x[:0]]), x)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_uncompressed_arrays_are_mapped(tmp_path, form: str) -> None:
    path = saved(tmp_path, form, first=np.arange(5), x=np.arange(12.0).reshape(3, 4))
    assert isinstance(array_entries(path)["x"].values(), np.memmap)


def test_compressed_arrays_come_in_pieces(tmp_path) -> None:
    x = np.random.default_rng(0).integers(0, 9, (5, 2**21))  # 16 MiB a row
    (entry,) = array_entries(saved(tmp_path, "compressed", x=x)).values()
    pieces = list(entry.pieces())
    assert [len(piece) for piece in pieces] == [1] * 5
    assert (np.concatenate(pieces) == x).all()


def npy_bytes(header: str) -> bytes:
    """A .npy of version 1 with that header and no values."""
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


def described(dtype: str = "'<f8'", shape: str = "(2,)") -> bytes:
    return npy_bytes(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}")


@pytest.mark.parametrize("form", ["npy", "npz", "compressed"])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (described() + bytes(16) + b"x", r"has 145 bytes, its header( at byte 0)? says 144"),
        (described() + bytes(15), r"has 143 bytes, its header( at byte 0)? says 144"),
        (described(shape="(10**4, 10**9)"), "is no .npy file"),
        (described(shape="(99999999, 99999999999)"), "bytes, its header"),
        (described(shape="(-2,)"), "has the shape"),
        (described("'|O'"), "holds Python objects, which are not read"),
        (described("[('a', '|O')]"), "holds Python objects, which are not read"),
        (described("'<f8', 'evil': 1"), "is no .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(130), "is no .npy file"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(130), "its header has 2147483647 bytes, 65536 at most"),
        (b"", "is no .npy file"),
    ],
)
def test_a_damaged_array_is_named(tmp_path, form: str, content: bytes, line: str) -> None:
    path = tmp_path
    if form == "npy":
        (tmp_path / "x.npy").write_bytes(content)
    else:
        path = tmp_path / "data.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if form == "npz" else zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=line) as error:
        array_entries(path)
    assert str(path) in str(error.value)
    assert "x.npy" in str(error.value)


def test_a_member_that_unpacks_to_something_else_is_named(tmp_path) -> None:
    x = np.random.default_rng(0).integers(0, 9, 50_000)
    path = saved(tmp_path, "compressed", x=x)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    (entry,) = array_entries(path).values()
    with pytest.raises(DataError, match=r"data.npz: x.npy (is damaged|ends)"):
        entry.values()


@pytest.mark.parametrize("order", ["C", "F"])
def test_compressed_values_fit_into_memory_or_are_refused_unread(
    order: Literal["C", "F"], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, "compressed", x=np.zeros((100, 3), order=order))
    (entry,) = array_entries(path).values()
    monkeypatch.setattr(array_file, "UNPACKED", 2400)
    assert entry.values().shape == (100, 3)
    monkeypatch.setattr(array_file, "UNPACKED", 2399)
    monkeypatch.setattr(array_file, "read_exactly", lambda *arguments: pytest.fail("it is read"))
    with pytest.raises(DataError, match=r"x.npy unpacks to 2400 bytes, 2399 at most at once; save it uncompressed"):
        entry.values()
    monkeypatch.setattr(array_file, "UNPACKED", 23)  # less than one of the rows
    with pytest.raises(DataError, match=r"unpacks to (24|2400) bytes"):
        next(entry.pieces())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_what_is_no_archive_is_named(tmp_path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"data.npz: cannot be read as .npz"):
        array_entries(tmp_path / "data.npz")


def test_no_damage_leads_to_anything_but_an_error_of_the_data(tmp_path) -> None:
    """Bytes of an archive are changed, cut and put in at random."""
    file = io.BytesIO()
    np.savez(file, x_train=np.arange(40.0).reshape(4, 5, 2), y_train=np.arange(4))
    original, draw, refused = file.getvalue(), np.random.default_rng(0), 0
    for _ in range(300):
        content = bytearray(original)
        for _ in range(draw.integers(1, 6)):
            at = int(draw.integers(len(content)))
            match draw.integers(3):
                case 0:
                    content[at] = draw.integers(256)
                case 1:
                    del content[at : at + int(draw.integers(1, 30))]
                case _:
                    content[at:at] = draw.bytes(int(draw.integers(1, 30)))
        (tmp_path / "data.npz").write_bytes(content)
        try:
            for entry in array_entries(tmp_path / "data.npz").values():
                entry.values()
        except DataError:
            refused += 1
    assert 100 < refused < 300


def test_a_member_that_ends_before_its_declared_size_is_named(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.arange(9))
    whole = content.getvalue()
    with zipfile.ZipFile(tmp_path / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", whole[:-10])
    packed = bytearray((tmp_path / "data.npz").read_bytes())
    struct.pack_into("<I", packed, packed.index(b"PK\x01\x02") + 24, len(whole))  # the size in the archive's list
    (tmp_path / "data.npz").write_bytes(packed)
    entry = array_entries(tmp_path / "data.npz")["x"]
    with pytest.raises(DataError, match=r"data.npz: x.npy ends 10 bytes too early"):
        entry.values()
