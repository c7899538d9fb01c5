"""Columns of samples that are written piece by piece, in a file each, as compactly as their values allow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
COUNTS = (np.uint8, np.uint16, np.uint32)
"""Types of counts; the smallest that holds all of a column is used."""


class GrowingColumn:
    """A column [n,…] of a file, to which rows are appended.

    Whole numbers from 0 on are stored as unsigned ones of 8, 16 or 32 bits, whatever type they come in; if some are
    negative, all in a signed type, the one that they come in if it is the same for all. When a value does not fit, the
    file is written anew in a larger type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dtype: np.dtype[Any] | None = None
        self.own: np.dtype[Any] | None = None
        """Holds all rows in the types that they came in."""
        self.shape: list[int] = []
        self.file = path.open("wb")

    def append(self, rows: Column) -> None:
        """Append rows [k,…].

        Raises ValueError for another shape than that of the rows before, and if no integer type holds both.
        """
        dtype = compact_type(rows)
        if self.dtype is None or self.own is None:
            self.dtype, self.own, self.shape = dtype, rows.dtype, [0, *rows.shape[1:]]
        elif list(rows.shape[1:]) != self.shape[1:]:
            raise ValueError(f"rows are {list(rows.shape[1:])}, those before {self.shape[1:]}")
        self.own = np.promote_types(self.own, rows.dtype)
        wider = common_type(self.dtype, dtype, self.own)
        if wider != self.dtype:
            self.widen(wider)
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.shape[0] += len(rows)

    def widen(self, dtype: np.dtype[Any]) -> None:
        """Write the rows so far in another type."""
        self.file.close()
        before = self.path.with_name(self.path.name + ".narrow")
        self.path.rename(before)
        self.file = self.path.open("wb")
        with before.open("rb") as narrow:
            while len(part := np.fromfile(narrow, self.dtype, 2**20)):
                self.file.write(part.astype(dtype).data)
        before.unlink()
        self.dtype = dtype

    def close(self) -> dict[str, Any]:
        """Close the file and return its type and shape, as `opened` takes them."""
        self.file.close()
        return {"dtype": np.dtype(self.dtype).str, "shape": self.shape}


def compact_type(rows: Column) -> np.dtype[Any]:
    """Return the smallest type of counts that holds whole numbers from 0 on; their own for all others."""
    if rows.dtype.kind not in "iu" or not rows.size or rows.min() < 0:
        return np.dtype(np.uint8) if rows.dtype.kind in "iu" and not rows.size else rows.dtype
    top = int(rows.max())
    return next((np.dtype(each) for each in COUNTS if top <= np.iinfo(each).max), rows.dtype)


def common_type(before: np.dtype[Any], dtype: np.dtype[Any], own: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that holds two compact ones, but none wider than ``own``, from which both were made.

    Unsigned bytes and negative ones need 16 bits, unless all came as signed bytes. Raises ValueError for unsigned
    numbers of 64 bits beside negative ones, which only floating point would hold, and not exactly.
    """
    wider = np.promote_types(before, dtype)
    if wider.kind == "f" and before.kind in "iu" and dtype.kind in "iu":
        raise ValueError(f"rows are {dtype}, those before {before}, and no integer type holds both")
    return own if own.kind in "iu" and own.itemsize < wider.itemsize else wider


def opened(path: Path, description: Mapping[str, Any], mapped: bool) -> Column:
    """Return a column, mapped from its file or read. Raises OSError or ValueError unless the file has its size."""
    dtype, shape = np.dtype(description["dtype"]), tuple(description["shape"])
    if path.stat().st_size != (size := int(np.prod(shape, dtype=np.int64)) * dtype.itemsize):
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {size}")
    if mapped and size:
        return np.memmap(path, dtype, "r", shape=shape)
    return np.fromfile(path, dtype).reshape(shape)
