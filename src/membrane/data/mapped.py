"""Arrays on disk that are mapped into memory: which of their pages stay in memory, and which come next."""

import mmap
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

RESIDENT = 2**28
"""Bytes read from an array before its pages are given back: 256 MiB."""


class MappedPages:
    """The pages of an array [n,…] in a file, of which about RESIDENT bytes count as this process's memory.

    Without it every page that was ever read counts, until the whole file does. Pages that are given back stay in the
    system's cache as long as there is room, so that reading them again is no reading from the disk. An array of no more
    than RESIDENT bytes is left alone: asking for its pages would cost every step more than it saves.

    Arguments:
        file: the mapping that the array lies in.
        start: byte of the mapping at which the array begins.
        row: bytes of one entry of the array.
        rows: n.
    """

    def __init__(self, file: mmap.mmap, start: int, row: int, rows: int) -> None:
        self.file, self.start, self.row, self.rows = file, start, row, rows
        self.read = 0

    @classmethod
    def of(cls, array: Any) -> Self | None:
        """Return the pages of an array whose entries follow each other in a mapped file, None for every other."""
        if not isinstance(array, np.memmap) or not array.size or array.strides[0] * len(array) != array.nbytes:
            return None
        base: Any = array
        while base is not None and not isinstance(base, mmap.mmap):
            base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
        if base is None or not hasattr(base, "madvise"):
            return None
        origin = np.frombuffer(base, np.uint8).ctypes.data
        return cls(base, array.ctypes.data - origin, array.nbytes // len(array), len(array))

    def fetch(self, rows: NDArray[np.int64]) -> None:
        """Let the system read these entries from the disk, without waiting for it."""
        if not self.is_large():
            return
        for row in rows.tolist():
            self.advise(mmap.MADV_WILLNEED, self.start + row * self.row, self.row)

    def count(self, rows: int) -> None:
        """Take note that so many entries were read, and give the pages back if it was enough."""
        self.read += rows * self.row
        if self.is_large() and self.read >= RESIDENT:
            self.read = 0
            self.advise(mmap.MADV_DONTNEED, self.start, self.row * self.rows)

    def is_large(self) -> bool:
        """Return whether the array has more bytes than may stay in memory."""
        return self.row * self.rows > RESIDENT

    def advise(self, advice: int, start: int, length: int) -> None:
        """Advise the system about the pages that bytes from ``start`` lie in."""
        aligned = start - start % mmap.PAGESIZE
        self.file.madvise(advice, aligned, min(start + length, len(self.file)) - aligned)
