"""Sliding windows: a long signal, or a sequence of frames, as several samples of one recording. Without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from membrane.errors import DataError, InvalidValue

Array: TypeAlias = NDArray[Any]


def check_rows(path: Path, part: str, x: tuple[int, ...], others: Mapping[str, Array]) -> None:
    """Raise DataError unless other columns have a row for each sample of ``x``, [n,L,…].

    Raises InvalidValue unless lengths are 1 to L.
    """
    for column, values in others.items():
        if values.shape[:1] != x[:1]:
            raise DataError(f"{path}: x_{part} has {x[0]} samples, {column} of {part} is {list(values.shape)}")
    lengths = others.get("lengths", np.ones(0))
    for sample in np.flatnonzero((lengths < 1) | (lengths > x[1]))[:1]:
        length = lengths[sample]
        raise InvalidValue(f"{path}: sample {sample} of {part} has length {length}, must be 1…{x[1]} timesteps")


def cut_windows(columns: Mapping[str, Array], window: int, stride: int, first: int) -> dict[str, Array]:
    """Cut x [k,L,…] into windows along L → x [m,window,…], with the other columns [k,…] repeated for each one.

    Windows begin every ``stride`` steps; what does not fill one is left out. Of a sample with fewer valid steps
    (``lengths``) than a window there is one, of its length. Those of a sample are one recording, unless ``recording``
    says which: its number, counted from ``first``.
    """
    x = columns["x"]
    lengths = columns.get("lengths", np.full(len(x), x.shape[1]))
    counts = np.maximum(lengths.astype(np.int64) - window, 0) // stride + 1
    sample = np.repeat(np.arange(len(x)), counts)
    start = stride * (np.arange(len(sample)) - np.repeat(np.cumsum(counts) - counts, counts))
    views = np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, window, axis=1), -1, 2)  # [k,starts,window,…]
    cut = {"recording": first + np.arange(len(x)), **columns}
    cut = {column: values[sample] for column, values in cut.items() if column != "x"}
    if "lengths" in cut:
        cut["lengths"] = np.minimum(cut["lengths"], window)
    return {"x": views[sample, start], **cut}
