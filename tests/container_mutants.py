"""Damaged HDF5 files and ZIP archives, each the same for the same number, and what their readers make of them."""

import io
import random
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest.mock import patch

import event_files as files
import h5py
import numpy as np
from event_mutants import Outcome, mutated

from membrane.data.shd import SHD, Piece
from membrane.data.store import limited
from membrane.data.store.originals import ZippedFile, files_inside
from membrane.errors import DataError

MEMORY = 1 << 22
"""Bytes that reading may take; for ZIP archives the samples' content is much smaller."""


@cache
def hdf5_sample() -> bytes:
    """A file as SHD's, of four recordings."""
    buffer, generator = io.BytesIO(), np.random.default_rng(0)
    with h5py.File(buffer, "w") as file:
        for name, dtype in (("times", np.float16), ("units", np.uint16)):
            rows = file.create_dataset(f"spikes/{name}", (4,), h5py.vlen_dtype(dtype))
            for number in range(4):
                rows[number] = np.sort(generator.uniform(0, 1.2, 20) if name == "times" else np.arange(20) * 30)
        file["labels"], file["extra/speaker"] = np.arange(4, dtype=np.uint16), np.arange(4, dtype=np.uint16)
    return buffer.getvalue()


@cache
def zip_sample() -> bytes:
    """An archive of deflated and stored recordings."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, method in enumerate((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)):
            content = files.nmnist_bytes(files.recording(50 * number, 34, 34))
            archive.writestr(zipfile.ZipInfo(f"Train/{number}/{number}.bin"), content, method)
    return buffer.getvalue()


def hdf5_mutant(number: int) -> bytes:
    return mutated(hdf5_sample(), random.Random(f"hdf5 {number}"))


def zip_mutant(number: int) -> bytes:
    return mutated(zip_sample(), random.Random(f"zip {number}"))


@contextmanager
def written(content: bytes, suffix: str) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


def hdf5_outcome(content: bytes, number: int = 0) -> Outcome:
    """Convert a file, and check that it is refused in a line or gives recordings of spikes."""
    refused = None
    with written(content, ".h5") as path:
        tracemalloc.start()
        try:
            with patch.object(limited, "PROCESSOR_SECONDS", 1):
                columns = SHD().columns(Piece(path, 0, 1), 2)
        except DataError as error:
            refused = one_line_of(error, path)
        else:
            assert columns["x"].shape[1:] == (2, 1, 700)
            assert {len(column) for column in columns.values()} == {len(columns["x"])}
            assert not len(columns["y"]) or 0 <= columns["y"].min() <= columns["y"].max() < 20
        finally:
            memory = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert memory <= MEMORY, f"{memory} bytes of memory"
    return Outcome(refused, memory)


def zip_outcome(content: bytes, number: int = 0) -> Outcome:
    """Read all recordings of an archive, and check that it is refused in a line or gives what it lists."""
    refused = None
    with written(content, ".zip") as path:
        tracemalloc.start()
        try:
            for file in files_inside(path, ".bin").values():
                assert isinstance(file, ZippedFile)
                assert len(file.read()) == file.size
        except DataError as error:
            refused = one_line_of(error, path)
        finally:
            memory = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert memory <= MEMORY, f"{memory} bytes of memory"
    return Outcome(refused, memory)


def one_line_of(error: DataError, path: Path) -> str:
    line = str(error)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")
