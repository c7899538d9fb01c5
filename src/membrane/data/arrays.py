"""Your own data: arrays in a .npz or a folder of .npy, series in a .csv or .ts."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from membrane.data.array_names import Entry, dataset_entries, located, names_of_classes, source_files
from membrane.data.axes import channels_first
from membrane.data.feed.checking import check_finite
from membrane.data.samples import Samples
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns
from membrane.data.store.identity import files_identity
from membrane.data.store.location import writable_cache
from membrane.files import durable


class Arrays:
    """Samples of arrays ``x_train y_train``, and optionally of ``…_val`` and ``…_test``, channels last.

    x is [n,S,C] or [n,H,W,C], with ``timesteps_in_data`` [n,T,S,C] or [n,T,H,W,C], and becomes channels first. It is
    mapped from the file; compressed arrays are unpacked into the cache first. y is whole numbers [n], or float targets
    [n,K]. Each part may have ``length_… recording_… group_…``, [n]; ``classes`` are K names. Text files are read as
    `series_arrays` says.

    Arguments:
        path: of the .npz or the folder, in the working folder or in ``paths.data``.
        timesteps_in_data: whether x has timesteps.
        scale: the factor of x.
        task: ``classification`` (the default) or ``regression``; in a text file it decides what labels are.
    """

    def __init__(
        self, *, path: str, timesteps_in_data: bool = False, scale: float = 1.0, task: str = "classification"
    ) -> None:
        self.path = path
        self.timesteps_in_data = timesteps_in_data
        self.scale = scale
        self.task = task

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train,), (train, test) or (train, validation, test). Raises DataError for a damaged file."""
        path = located(self.path, root)
        parts = dataset_entries(path, timesteps_in_data=self.timesteps_in_data, task=self.task)
        names = names_of_classes(parts.pop("classes")["classes"]) if "classes" in parts else None
        if any(columns["x"].compressed for columns in parts.values()):
            return self.unpacked(root, path, parts, names)
        loaded = {part: self.samples(columns, names) for part, columns in parts.items()}
        cache = writable_cache(root)
        if cache is not None:  # where nothing can be stored, the data are read at each start
            with suppress(OSError):
                store_identity(cache / "arrays", path, loaded)
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
        """Return the samples of compressed arrays from the cache."""
        rows = {part: (lambda columns=columns: self.rows(columns)) for part, columns in parts.items()}
        parameters = {"version": 1, "timesteps_in_data": self.timesteps_in_data}
        return load_cached(root, "arrays", parameters, source_files(path), rows, scale=self.scale, classes=names)

    def rows(self, columns: Mapping[str, Entry]) -> Iterator[Columns]:
        """Yield the columns of some samples of a part at a time."""
        small = {column: entry.values() for column, entry in columns.items() if column != "x"}
        start = 0
        for piece in columns["x"].pieces():
            rows = slice(start, start := start + len(piece))
            x = channels_first(piece, self.timesteps_in_data)
            yield {"x": x, **{column: each[rows] for column, each in small.items()}}


def store_identity(folder: Path, path: Path, parts: Mapping[str, Samples]) -> None:
    """Give samples that are finite the digest of their files in place of their own, so that no start reads them again.

    ``folder`` remembers which files are finite. Raises DataError for a value that is not finite, OSError if nothing can
    be stored.
    """
    identity = files_identity(source_files(path), folder / "sources.json")
    checked = folder / f"{identity[:16]}.json"
    if not checked.is_file():
        for name, samples in parts.items():
            check_finite(name, "x", samples.x, samples.scale, samples.count_read)
        durable.write_json(checked, {"finite": True})
    for name, samples in parts.items():
        form = f"{identity} {name} {list(samples.x.shape)} {samples.scale!r}"
        samples.fill(stored_digest=hashlib.sha256(form.encode()).hexdigest())
