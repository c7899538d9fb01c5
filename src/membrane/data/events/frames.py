"""Events to a fixed number of frames."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from membrane.errors import ConfigError

Split = Literal["time", "number"]


class Events(NamedTuple):
    """One recording: t [n] in µs, x [n] (column), y [n] (row), p [n] (polarity: 0 OFF, 1 ON); any integer type."""

    t: NDArray[np.integer]
    x: NDArray[np.integer]
    y: NDArray[np.integer]
    p: NDArray[np.integer]


def frames(events: Events, timesteps: int, height: int, width: int, split: Split) -> NDArray[np.int64]:
    """Count events [n] in frames → [T,2,H,W]; channel 0 is OFF, 1 is ON. Every event is counted exactly once.

    ``split="time"`` makes T slices of equal duration from the first to the last timestamp; ``split="number"`` T slices,
    in order of time, whose numbers of events differ by at most one. A slice, or the whole recording, may be empty: its
    counts are zero. Raises ConfigError as `check_binning`, ValueError for events off the sensor.
    """
    check_binning(timesteps, split)
    t, x, y, p = (np.asarray(column).astype(np.int64) for column in events)
    for name, column, bound in (("x", x, width), ("y", y, height), ("polarity", p, 2)):
        if len(column) and not 0 <= column.min() <= column.max() < bound:
            raise ValueError(f"events with {name} {column.min()}…{column.max()}, but 0…{bound - 1} was expected")
    cell = ((slice_of(t, timesteps, split) * 2 + p) * height + y) * width + x
    counts = np.bincount(cell, minlength=timesteps * 2 * height * width)
    return counts.reshape(timesteps, 2, height, width)


def check_binning(timesteps: int, split: str) -> None:
    """Raise ConfigError unless T is at least 1 and the split one of the two."""
    if timesteps < 1:
        raise ConfigError(f"timesteps must be at least 1, not {timesteps}")
    if split not in get_args(Split):
        raise ConfigError(f"split must be one of {', '.join(get_args(Split))}, not {split!r}")


def slice_of(t: NDArray[np.int64], timesteps: int, split: Split) -> NDArray[np.int64]:
    """Assign timestamps t [n] to slices 0…T−1 → [n]."""
    if not len(t):
        return t
    if split == "time":
        # +1 puts the last event into the last slice, and avoids 0/0 for a single timestamp
        of_event: NDArray[np.int64] = (t - t.min()) * timesteps // (t.max() - t.min() + 1)
        return of_event
    rank = np.empty_like(t)
    rank[np.argsort(t, kind="stable")] = np.arange(len(t))
    return rank * timesteps // len(t)
