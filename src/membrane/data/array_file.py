"""Arrays in a .npz, or in a folder of .npy: types and shapes from their headers, values mapped from the file."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from membrane.data.store.originals import seek_content
from membrane.errors import DataError

SUFFIX = ".npy"
HEADER_BYTES = 2**16
"""Of the header of an array at most; an honest one has about a hundred."""
PIECE = 2**23
"""Bytes that are unpacked at a time."""
UNPACKED = 2**30
"""Bytes of compressed values that are held in memory at once, at most: a small file can say that it has any number."""


@dataclass(frozen=True)
class ArrayEntry:
    """An array of a file: where it lies, and what its header says.

    Arguments:
        path: the .npy, or the .npz.
        member: its name in the .npz; None for a .npy.
        dtype: of its values.
        shape: of the array.
        order: ``C`` or ``F``.
        start: byte of its first value, in the file, or in the unpacked member if it is compressed.
        compressed: whether the .npz holds it compressed.
    """

    path: Path
    member: str | None
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    start: int
    compressed: bool

    @property
    def nbytes(self) -> int:
        """The number of bytes of the values."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def values(self) -> NDArray[Any]:
        """Return the array, mapped from the file unless it is compressed or empty."""
        if not self.nbytes:
            return np.empty(self.shape, self.dtype)
        if self.compressed:
            self.require_small(self.nbytes)
            return np.concatenate(list(self.pieces())) if self.shape else self.whole()
        order: Any = self.order
        mapped: NDArray[Any] = np.memmap(self.path, self.dtype, "r", self.start, self.shape, order)
        return mapped

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield some rows [k,…] at a time, of numbers in this machine's order of bytes.

        Raises DataError if the file ends before the array does.
        """
        for rows in self.rows_as_stored():
            yield rows.astype(rows.dtype.newbyteorder("="), copy=False)

    def rows_as_stored(self) -> Iterator[NDArray[Any]]:
        """Yield some rows [k,…] at a time. Raises DataError if the file ends before the array does."""
        if not self.nbytes or not self.shape:
            yield self.values()
            return
        row = self.nbytes // self.shape[0]
        starts = range(0, self.shape[0], step := max(1, PIECE // row))
        if not self.compressed or self.order == "F":
            values = self.whole() if self.compressed else self.values()
            yield from (values[start : start + step] for start in starts)
            return
        self.require_small(row)
        with zipfile.ZipFile(self.path) as archive, archive.open(str(self.member)) as file:
            read_exactly(file, self.start, self)
            for start in starts:
                count = min(step, self.shape[0] - start)
                yield np.frombuffer(read_exactly(file, count * row, self), self.dtype).reshape(count, *self.shape[1:])

    def whole(self) -> NDArray[Any]:
        """Return a compressed array at once: a single number, or one in Fortran's order, whose rows lie apart."""
        self.require_small(self.nbytes)
        with zipfile.ZipFile(self.path) as archive, archive.open(str(self.member)) as file:
            read_exactly(file, self.start, self)
            content = read_exactly(file, self.nbytes, self)
        return np.frombuffer(content, self.dtype).reshape(self.shape, order="F" if self.order == "F" else "C")

    def require_small(self, size: int) -> None:
        """Raise DataError if so many unpacked bytes are too many for the memory."""
        if size > UNPACKED:
            way_out = "save it uncompressed, with numpy.savez, to have it mapped"
            raise DataError(
                f"{self.path}: {self.member} unpacks to {size} bytes, {UNPACKED} at most at once; {way_out}"
            )


def array_entries(path: Path) -> dict[str, ArrayEntry]:
    """Return the arrays of a .npz, or of a folder of .npy, by name. No values are read.

    Raises DataError for a file that is damaged, or holds Python objects.
    """
    try:
        if path.is_dir():
            return {file.stem: npy_entry(file) for file in sorted(path.glob(f"*{SUFFIX}"))}
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(SUFFIX)]
            return {info.filename.removesuffix(SUFFIX): npz_entry(path, archive, info) for info in members}
    except DataError:
        raise
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, struct.error, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as .npz: {error}") from error


def npy_entry(path: Path) -> ArrayEntry:
    """Return what the header of a .npy says. Raises DataError if the file is damaged."""
    with path.open("rb") as file:
        dtype, shape, order = read_array_header(path, path.name, file)
        entry = ArrayEntry(path, None, dtype, shape, order, file.tell(), compressed=False)
    if path.stat().st_size != entry.start + entry.nbytes:
        raise DataError(
            f"{path}: has {path.stat().st_size} bytes, its header at byte 0 says {entry.start + entry.nbytes}"
        )
    return entry


def npz_entry(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> ArrayEntry:
    """Return what the header of a member says. Raises DataError if it is damaged."""
    with archive.open(info) as file:
        dtype, shape, order = read_array_header(path, info.filename, file)
        start, compressed = file.tell(), info.compress_type != zipfile.ZIP_STORED
    entry = ArrayEntry(path, info.filename, dtype, shape, order, start, compressed)
    if info.file_size != start + entry.nbytes:
        raise DataError(f"{path}: {info.filename} has {info.file_size} bytes, its header says {start + entry.nbytes}")
    if compressed:
        return entry
    with path.open("rb") as whole:
        seek_content(whole, info.header_offset)
        start += whole.tell()
    return ArrayEntry(path, info.filename, dtype, shape, order, start, compressed)


def read_array_header(path: Path, name: str, file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], str]:
    """Return type, shape and order from the header of a .npy. Raises DataError if it is damaged."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
        size = file.read(2 if version == (1, 0) else 4)
        if (length := int.from_bytes(size, "little")) > HEADER_BYTES:  # numpy would read it before it compares
            raise ValueError(f"its header has {length} bytes, {HEADER_BYTES} at most")
        shape, fortran, dtype = read(io.BytesIO(size + file.read(length)), max_header_size=HEADER_BYTES)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: {name} is no .npy file: {str(error).splitlines()[0]}") from error
    if dtype.hasobject:
        raise DataError(f"{path}: {name} holds Python objects, which are not read: save numbers, as int64 or float32")
    if min(shape, default=0) < 0:
        raise DataError(f"{path}: {name} has the shape {list(shape)}")
    return dtype, shape, "F" if fortran else "C"


def read_exactly(file: IO[bytes], count: int, entry: ArrayEntry) -> bytes:
    """Read so many bytes. Raises DataError if there are fewer, or they are damaged."""
    try:
        content = file.read(count)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
        raise DataError(f"{entry.path}: {entry.member} is damaged: {error}") from error
    if len(content) != count:
        raise DataError(f"{entry.path}: {entry.member} ends {count - len(content)} bytes too early")
    return content
