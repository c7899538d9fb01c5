"""Of an HDF5 file only columns of numbers are read that lie in it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from membrane.data.store import hdf5
from membrane.data.store.hdf5 import hdf5_column, opened_hdf5
from membrane.errors import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with columns of every form."""
    elsewhere = tmp_path / "elsewhere.h5"
    with h5py.File(elsewhere, "w") as file:
        file["numbers"] = np.arange(3)
    (tmp_path / "raw").write_bytes(bytes(24))
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)
        file["table"] = np.ones((3, 2), int)
        file["group/floats"] = np.ones(3)
        file["texts"] = ["a", "b", "c"]
        file["soft"] = h5py.SoftLink("/numbers")
        file["external"] = h5py.ExternalLink("elsewhere.h5", "numbers")
        file["softgroup"] = h5py.SoftLink("/group")
        file.create_dataset("outside", (3,), "i8", external=[(str(tmp_path / "raw"), 0, 24)])
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(elsewhere, "numbers", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("objects", (3,), h5py.ref_dtype)
        ragged = file.create_dataset("ragged", (3,), h5py.vlen_dtype(np.float16))
        ragged[1] = [1.5, 2.5]
        file.create_dataset("words", (3,), h5py.vlen_dtype(h5py.string_dtype()))
    return path


def test_columns_are_those_of_the_file(path) -> None:
    with opened_hdf5(path) as file:
        assert hdf5_column(file, "numbers", "iu")[:].tolist() == [0, 1, 2]
        assert hdf5_column(file, "group/floats", "f")[:].tolist() == [1, 1, 1]
        assert [row.tolist() for row in hdf5_column(file, "ragged", "f", several=True)[:]] == [[], [1.5, 2.5], []]


@pytest.mark.parametrize(
    ("name", "several", "line"),
    [
        ("nothing", False, "nothing is missing"),
        ("group/nothing", False, "group/nothing is missing"),
        ("numbers/inside", False, "numbers/inside is missing"),
        ("soft", False, "soft is a link to elsewhere, which is not followed"),
        ("external", False, "external is a link to elsewhere"),
        ("softgroup/floats", False, "softgroup/floats is a link to elsewhere"),
        ("outside", False, "outside is no array in this file itself"),
        ("virtual", False, "virtual is no array in this file itself"),
        ("group", False, "group is no array in this file itself"),
        ("table", False, r"table is int64 \[3, 2\], numbers \[n\] are expected"),
        ("group/floats", False, r"group/floats is float64 \[3\], numbers"),
        ("texts", False, r"texts is object \[3\], numbers"),
        ("objects", False, r"objects is object \[3\], numbers"),
        ("ragged", False, r"ragged is object \[3\], numbers"),
        ("numbers", True, r"numbers is int64 \[3\], rows of numbers \[n\] are expected"),
        ("ragged", True, r"ragged is object \[3\], rows of numbers"),
        ("words", True, r"words is object \[3\], rows of numbers"),
        ("objects", True, r"objects is object \[3\], rows of numbers"),
    ],
)
def test_all_else_is_refused(path, name, several, line) -> None:
    with opened_hdf5(path) as file, pytest.raises(DataError, match=f"file.h5: {line}"):
        hdf5_column(file, name, "iu", several)


def test_too_many_rows_are_refused_before_they_are_read(path, monkeypatch) -> None:
    monkeypatch.setattr(hdf5, "MOST_ROWS", 2)
    with opened_hdf5(path) as file, pytest.raises(DataError, match="numbers has 3 rows, at most 2 are expected"):
        hdf5_column(file, "numbers", "iu")


def test_what_is_no_hdf5_or_cut_off_is_refused(tmp_path, path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    whole = path.read_bytes()
    (tmp_path / "short.h5").write_bytes(whole[: len(whole) // 2])
    for name in ("text.h5", "short.h5", "missing.h5"):
        with pytest.raises(DataError, match=f"{name}: no HDF5 file that can be read"), opened_hdf5(tmp_path / name):
            pass
