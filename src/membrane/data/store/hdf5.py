"""Columns of HDF5 files, of which nothing is taken that lies elsewhere or is more than numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from membrane.errors import DataError

if TYPE_CHECKING:
    import h5py

MOST_ROWS = 1 << 22


@contextmanager
def opened_hdf5(path: Path) -> Iterator["h5py.File"]:
    """Open an HDF5 file to read from it. Raises DataError for what HDF5 cannot read, when opened or inside."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, RuntimeError, ValueError, KeyError, MemoryError) as error:
        raise DataError(f"{path}: no HDF5 file that can be read: {error}") from error


def hdf5_column(file: "h5py.File", name: str, kinds: str, several: bool = False) -> "h5py.Dataset":
    """Return a column [n] of numbers, or of ``several`` numbers a row, without reading it.

    Raises DataError unless it lies in this file itself, under its own name, has a type of one of the ``kinds`` (``i``,
    ``u``, ``f``) and at most MOST_ROWS rows.
    """
    import h5py

    path = Path(file.filename)
    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if link is None:
            raise DataError(f"{path}: {name} is missing")
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{path}: {name} is a link to elsewhere, which is not followed")
    column = file[name]
    if not isinstance(column, h5py.Dataset) or column.is_virtual or column.external:
        raise DataError(f"{path}: {name} is no array in this file itself")
    dtype = h5py.check_vlen_dtype(column.dtype) if several else column.dtype
    if getattr(dtype, "kind", "O") not in kinds or column.ndim != 1:
        wanted = "rows of numbers" if several else "numbers"
        raise DataError(f"{path}: {name} is {column.dtype} {list(column.shape)}, {wanted} [n] are expected")
    if len(column) > MOST_ROWS:
        raise DataError(f"{path}: {name} has {len(column)} rows, at most {MOST_ROWS} are expected")
    return column
