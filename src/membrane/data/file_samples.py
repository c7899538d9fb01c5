"""Files that no data set lists, as samples of a run's data set: arrays and series, or what the data set itself reads.

A data set says which files it reads by their ``suffixes``, and reads one by ``read(path, shape, timesteps)``.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from membrane.data.array_file import ArrayEntry, array_entries, npy_entry
from membrane.data.arrays import Arrays
from membrane.data.feed.checking import first_not_finite
from membrane.data.samples import as_tensor
from membrane.data.series_file import SUFFIXES as SERIES
from membrane.data.series_file import padded, read_series
from membrane.data.store.conversion import Columns
from membrane.data.windows import cut_windows
from membrane.errors import DataError

ARRAYS = (".npz", ".npy")
NAMES_OF_X = ("x", "x_test")
LARGEST = 2**30
"""Bytes of a file, and of an array in it, at most."""


@dataclass(frozen=True)
class FileSamples:
    """Samples of one file: x float32 [n,*shape] or [n,T,*shape] as the model sees it, lengths and recording [n]."""

    x: Tensor
    lengths: Tensor | None
    recording: Tensor


@dataclass(frozen=True)
class FileReader:
    """Reads files as samples of a data set.

    Arguments:
        dataset: the data set.
        name: its name, for messages.
        shape: [C,S] or [C,H,W] of a sample, without T.
        timesteps: T of the data, x is [n,T,*shape]; None if it has none.
        scale: the factor of its whole numbers, None if it is not known.
    """

    dataset: Any
    name: str
    shape: list[int]
    timesteps: int | None
    scale: float | None

    @property
    def sample_shape(self) -> list[int]:
        """The shape of a sample, with T if the data has it."""
        return self.shape if self.timesteps is None else [self.timesteps, *self.shape]

    def read(self, path: Path) -> FileSamples:
        """Return the samples of a file. Raises DataError if it cannot be read, or if they are of another shape."""
        columns = self.columns(regular_file(path))
        x = as_tensor(columns["x"])
        if list(x.shape[1:]) != self.sample_shape or not len(x):
            raise DataError(f"{path}: a sample is {list(x.shape[1:])}, the run takes {self.sample_shape}")
        scale = self.scale_of(path, x)
        if (wrong := first_not_finite(x, scale)) is not None:
            raise DataError(f"{path}: sample {wrong.place[0]} has {wrong.value} at {wrong.place[1:]}, {wrong.expected}")
        small: Columns = {
            name: np.array(columns[name], np.int64) for name in ("lengths", "recording") if name in columns
        }
        check_small(path, small, len(x), self.timesteps)
        recording = small.get("recording", np.arange(len(x)))
        lengths = torch.from_numpy(small["lengths"]) if "lengths" in small else None
        return FileSamples(x.float() * scale, lengths, torch.from_numpy(recording))

    def columns(self, path: Path) -> Columns:
        """Return x, and lengths and recording where there are any, in the data set's layout, by the file's suffix."""
        suffix, own = path.suffix.lower(), tuple(getattr(self.dataset, "suffixes", ()))
        if suffix in ARRAYS:
            return self.laid_out(path, array_columns(path))
        if suffix in SERIES:
            return self.laid_out(path, self.series_columns(path))
        if suffix in own:
            columns = self.dataset.read(path, self.shape, self.timesteps or 1)
            # what several samples of a recording say is averaged
            return {**columns, "recording": np.zeros(len(columns["x"]), np.int64)}
        raise DataError(f"{path}: a run on {self.name} reads {' '.join((*own, *ARRAYS, *SERIES))}")

    def series_columns(self, path: Path) -> Columns:
        """Return x [n,S,C], or with timesteps [n,T,1,C], of a text file of series, with labels or without."""
        series = read_series(path)
        unlabelled = self.timesteps is None and all(len(each[0]) == self.shape[-1] - 1 for each in series.channels)
        if unlabelled and path.suffix.lower() != ".ts":
            series = read_series(path, labelled=False)
        lengths = np.array([len(each[0]) for each in series.channels])
        x = padded(path, series, int(lengths.max()))
        if self.timesteps is not None:
            return {"x": x[:, :, None], "lengths": lengths}
        if (lengths != self.shape[-1]).any():
            odd = int((lengths != self.shape[-1]).argmax())
            values = f"line {series.lines[odd]} has a series of {lengths[odd]} values"
            raise DataError(f"{path}: {values}, the run takes {self.shape[-1]}")
        return {"x": x}

    def laid_out(self, path: Path, columns: Columns) -> Columns:
        """Return columns of a file with x [n,…] channels first: one sample or several, cut and filled up to T.

        Raises DataError, with the layouts that fit, for another shape.
        """
        x, window = columns["x"], getattr(self.dataset, "window", None)
        steps = [] if self.timesteps is None else [self.timesteps]
        channels, *sides = self.shape
        if window and x.ndim == len(self.sample_shape) + 1 and x.shape[1] > window:
            columns = cut_windows({"x": x, **columns}, window, self.dataset.stride, 0)
            x = columns["x"]
        if steps and "lengths" in columns and x.ndim > 1 and x.shape[1] < steps[0]:
            x = np.pad(x, [(0, 0), (0, steps[0] - x.shape[1]), *[(0, 0)] * (x.ndim - 2)])
        last, first, bare = [*steps, *sides, channels], [*steps, *self.shape], [*steps, *sides]
        for form in (last, first, *([bare] if channels == 1 else [])):
            if list(x.shape[1:]) == form or list(x.shape) == form:
                rows = x if list(x.shape[1:]) == form else x[None]
                if form is last:
                    rows = np.moveaxis(rows, -1, 1 + len(steps))
                return {**columns, "x": rows.reshape(len(rows), *self.sample_shape)}
        fitting = " or ".join(f"[n,{','.join(map(str, form))}]" for form in dict.fromkeys(map(tuple, (last, first))))
        raise DataError(f"{path}: x is {list(x.shape)}, the run takes {fitting}, or one sample without n")

    def scale_of(self, path: Path, x: Tensor) -> float:
        """Return the factor of x: whole numbers are in the data set's units, and floats too in arrays of one's own.

        Floats of all other data sets were scaled already. Raises DataError for whole numbers of an unknown scale.
        """
        if x.is_floating_point():
            return float(self.dataset.scale) if isinstance(self.dataset, Arrays) else 1.0
        if self.scale is None:
            raise DataError(f"{path}: x is whole numbers, of which the run does not know the scale: save floats")
        return self.scale


def regular_file(path: Path) -> Path:
    """Return the path of a file, a person's link followed. Raises DataError if it is none, or larger than LARGEST."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is {'a folder: name the files in it' if stat.S_ISDIR(status.st_mode) else 'no file'}")
    if status.st_size > LARGEST:
        raise DataError(f"{path}: has {status.st_size} bytes, {LARGEST} at most are read")
    return path


def array_columns(path: Path) -> Columns:
    """Return x of a .npy or a .npz, of the latter lengths and recording too. Raises DataError if x is not clear.

    x is the array of that name, that of the test part, or the only one.
    """
    if path.suffix.lower() == ".npy":
        return {"x": real_values(path, npy_entry(path))}
    entries = array_entries(path)
    named: list[str] = [name for name in NAMES_OF_X if name in entries] or list(entries)
    if not named or (named[0] not in NAMES_OF_X and len(named) > 1):
        raise DataError(f"{path}: has {', '.join(sorted(entries)) or 'no arrays'}; call the samples x")
    name = named[0]
    part = name.removeprefix("x") if name.startswith("x") else ""
    columns = {"x": real_values(path, entries[name])}
    for column, stored in (("lengths", f"length{part}"), ("recording", f"recording{part}")):
        if stored in entries:
            columns[column] = real_values(path, entries[stored])
    return columns


def real_values(path: Path, entry: ArrayEntry) -> NDArray[Any]:
    """Return an array's values. Raises DataError unless they are real numbers, and not too many."""
    if entry.dtype.kind not in "biuf" or entry.dtype.itemsize > 8:
        raise DataError(f"{path}: {entry.member or 'the array'} is {entry.dtype}, must be real numbers")
    if entry.nbytes > LARGEST:
        raise DataError(f"{path}: {entry.member or 'the array'} has {entry.nbytes} bytes, {LARGEST} at most are read")
    return entry.values()


def check_small(path: Path, columns: Columns, count: int, timesteps: int | None) -> None:
    """Raise DataError unless lengths and recording have an entry for each sample, and lengths are 1 to T."""
    for name, values in columns.items():
        if values.shape != (count,):
            raise DataError(f"{path}: x has {count} samples, {name} is {list(values.shape)}")
        if name == "lengths" and (timesteps is None or values.min() < 1 or values.max() > timesteps):
            expected = "the run's data has no timesteps" if timesteps is None else f"1 to {timesteps} expected"
            raise DataError(f"{path}: lengths are {values.min()} to {values.max()}, {expected}")
