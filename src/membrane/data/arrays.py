"""Your own data: arrays in a .npz or a folder of .npy, series in a .csv or .ts."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from membrane.data.array_names import Entry, check_sizes, dataset_entries, located, names_of_classes, source_files
from membrane.data.axes import channels_first, channels_last
from membrane.data.feed.checking import first_not_finite
from membrane.data.image_file import PICTURES, read_picture
from membrane.data.samples import Samples, as_tensor
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns
from membrane.data.store.identity import files_identity
from membrane.data.store.location import writable_cache
from membrane.data.windows import check_rows, cut_windows
from membrane.errors import DataError, InvalidValue
from membrane.files import durable

BYTE = 1 / 255
"""The scale of pictures in bytes."""


class Arrays:
    """Samples of arrays ``x_train y_train``, and optionally of ``…_val`` and ``…_test``, channels last.

    x is [n,S,C] or [n,H,W,C], with ``timesteps_in_data`` [n,T,S,C] or [n,T,H,W,C], and becomes channels first. It is
    mapped from the file; arrays that are compressed, or in another machine's order of bytes, are written to the cache
    first. y is whole numbers [n], or float targets [n,K]. Each part may have ``length_… recording_… group_…``, [n];
    ``classes`` are K names. Text files are read as `series_arrays` says.

    Arguments:
        path: of the .npz or the folder, in the working folder or in ``paths.data``.
        timesteps_in_data: whether x has timesteps.
        scale: the factor of x.
        task: ``classification`` (the default) or ``regression``; in a text file it decides what labels are.
        window: cut each sample of x, [n,S,C] or with timesteps [n,T,…], into windows of so many steps along its first
            axis; those of a sample are one recording, as `cut_windows` says. They lie in the cache. None: no cut.
        stride: steps from one window to the next. None: ``window``, so that none overlap.
    """

    suffixes: ClassVar[tuple[str, ...]] = PICTURES

    def __init__(
        self,
        *,
        path: str,
        timesteps_in_data: bool = False,
        scale: float = 1.0,
        task: str = "classification",
        window: int | None = None,
        stride: int | None = None,
    ) -> None:
        self.path = path
        self.timesteps_in_data = timesteps_in_data
        self.scale = scale
        self.task = task
        self.window = window
        self.stride = stride or window

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return x uint8 [1,*shape] of a picture, where the run's arrays are pictures in bytes. Raises DataError."""
        if self.timesteps_in_data or len(shape) != 3 or shape[0] not in (1, 3) or self.scale != BYTE:
            raise DataError(f"{path}: the run's arrays are no pictures in bytes: save it as .npy in their units")
        return {"x": read_picture(path, grey=shape[0] == 1)[None]}

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train,), (train, test) or (train, validation, test). Raises DataError for a damaged file."""
        path = located(self.path, root)
        parts = dataset_entries(path, timesteps_in_data=self.timesteps_in_data, task=self.task)
        check_sizes(path, parts, self.window)
        names = names_of_classes(parts.pop("classes")["classes"]) if "classes" in parts else None
        if self.window or any(columns["x"].compressed or not columns["x"].dtype.isnative for columns in parts.values()):
            return self.unpacked(root, path, parts, names)
        loaded = {part: self.samples(columns, names) for part, columns in parts.items()}
        self.identify(writable_cache(root), path, loaded)
        return tuple(loaded.values())

    def samples(self, columns: Mapping[str, Entry], names: list[str] | None) -> Samples:
        """Return the samples of a part, x mapped from its file."""
        values: dict[str, Any] = {column: entry.values() for column, entry in columns.items()}
        x: Any = channels_first(values.pop("x"), self.timesteps_in_data)
        small: dict[str, Any] = {column: np.array(each) for column, each in values.items()}
        return Samples(x, **small, scale=self.scale, classes=names)

    def unpacked(
        self, root: Path, path: Path, parts: Mapping[str, Mapping[str, Entry]], names: list[str] | None
    ) -> tuple[Samples, ...]:
        """Return the samples of compressed arrays, or of windows, from the cache."""
        build = self.windows if self.window else self.rows
        rows = {part: (lambda part=part, columns=columns: build(part, columns)) for part, columns in parts.items()}
        parameters: dict[str, Any] = {"version": 1, "timesteps_in_data": self.timesteps_in_data}
        if self.window:
            parameters |= {"window": self.window, "stride": self.stride}
        return load_cached(root, "arrays", parameters, source_files(path), rows, scale=self.scale, classes=names)

    def rows(self, part: str, columns: Mapping[str, Entry]) -> Iterator[Columns]:
        """Yield the columns of some samples of a part at a time. Raises DataError for a value that is not finite."""
        small = {column: entry.values() for column, entry in columns.items() if column != "x"}
        start = 0
        for piece in columns["x"].pieces():
            rows = slice(start, start := start + len(piece))
            self.check_values(columns["x"].path, part, piece, rows.start)
            x = channels_first(piece, self.timesteps_in_data)
            yield {"x": x, **{column: each[rows] for column, each in small.items()}}

    def windows(self, part: str, columns: Mapping[str, Entry]) -> Iterator[Columns]:
        """Yield the columns of some windows of a part at a time. Raises DataError as `rows`, and as `check_rows`."""
        assert self.window is not None
        assert self.stride is not None
        small = {column: entry.values() for column, entry in columns.items() if column != "x"}
        check_rows(columns["x"].path, part, columns["x"].shape, small)
        start = 0
        for x in columns["x"].pieces():
            self.check_values(columns["x"].path, part, x, start)
            rows = slice(start, start + len(x))
            cut = {"x": x, **{column: each[rows] for column, each in small.items()}}
            cut = cut_windows(cut, self.window, self.stride, start)
            yield {**cut, "x": channels_first(cut["x"], self.timesteps_in_data)}
            start += len(x)

    def identify(self, cache: Path | None, path: Path, parts: Mapping[str, Samples]) -> None:
        """Give samples that are finite the digest of their files in place of their own.

        ``cache`` remembers which files are finite, so that no other start reads them; None: every start does. Raises
        DataError for a value that is not finite.
        """
        folder = None if cache is None else cache / "arrays"
        identity = files_identity(source_files(path), folder and folder / "sources.json")
        checked = folder and folder / f"{identity[:16]}.json"
        if checked is None or not checked.is_file():
            for part, samples in parts.items():
                x: Any = channels_last(samples.x, self.timesteps_in_data)
                self.check_values(path, part, x, count_read=samples.count_read)
            if checked is not None:
                with suppress(OSError):
                    durable.write_json(durable.in_real_folder(checked), {"finite": True})
        for part, samples in parts.items():
            form = f"{identity} {part} {list(samples.x.shape)} {samples.scale!r}"
            samples.fill(stored_digest=hashlib.sha256(form.encode()).hexdigest())

    def check_values(
        self, path: Path, part: str, x: Any, start: int = 0, count_read: Callable[[int], None] | None = None
    ) -> None:
        """Raise InvalidValue for a value of x [n,…,C] that is not finite, by its place in the array of the file.

        ``start`` is that of the first sample.
        """
        wrong = first_not_finite(as_tensor(x), self.scale, count_read)
        if wrong is not None:
            sample, *entry = wrong.place
            place = ", ".join(map(str, [start + sample, *entry]))
            raise InvalidValue(f"{path}: x_{part}[{place}] is {wrong.value}, {wrong.expected}")
