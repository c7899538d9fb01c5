"""Events to a fixed number of frames."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.recording import Events as Events
from membrane.errors import ConfigError

Split = Literal["time", "number", "time_spikingjelly", "number_spikingjelly"]


def frames(events: Events, timesteps: int, height: int, width: int, split: Split) -> NDArray[np.int64]:
    """Count events [n] in frames → [T,2,H,W]; channel 0 is OFF, 1 is ON. Every event is counted exactly once.

    | ``split`` | the T slices |
    |---|---|
    | time | of equal duration, from the first to the last timestamp |
    | number | in order of time, of numbers of events that differ by at most one |
    | time_spikingjelly | of ⌊Δt/T⌋ µs each, Δt from the first to the last timestamp; the last takes the rest |
    | number_spikingjelly | of ⌊n/T⌋ events each, in the order in which they come; the last takes the rest |

    The last two are SpikingJelly's ``split_by='time'`` and ``'number'``, which many papers on event data use. Of 800
    events in ten frames they put 3 % by number, and hardly any by time, into another frame than the first two.
    (SpikingJelly's time slices are for events in order of time, and its SHD and SSC do not round Δt/T.) A slice, or the
    whole recording, may be empty: its counts are zero. Raises ConfigError as `check_binning`, ValueError for events off
    the sensor.
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
    """Raise ConfigError unless T is at least 1 and the split is a known one."""
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
    if split == "time_spikingjelly":
        return whole_slices(t - t.min(), int(t.max() - t.min()), timesteps)
    if split == "number_spikingjelly":
        return whole_slices(np.arange(len(t)), len(t), timesteps)
    rank = np.empty_like(t)
    rank[np.argsort(t, kind="stable")] = np.arange(len(t))
    return rank * timesteps // len(t)


def whole_slices(position: NDArray[np.int64], whole: int, timesteps: int) -> NDArray[np.int64]:
    """Assign positions [n] in 0…whole to slices 0…T−1 of ⌊whole/T⌋ each, the rest to the last → [n]."""
    width = whole // timesteps
    return np.minimum(position // width, timesteps - 1) if width else np.full_like(position, timesteps - 1)
