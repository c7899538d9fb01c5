"""Events to a fixed number of frames."""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.layout import Split as Split
from membrane.data.events.recording import Events as Events
from membrane.errors import ConfigError


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
    whole recording, may be empty: its counts are zero. Raises ConfigError for another split and
    for T < 1, ValueError for events off the sensor.
    """
    check_timesteps(timesteps)
    check_split(split)
    if split != "number_spikingjelly":
        events = time_ordered(events)
    return counts(events, slice_bounds(events.t, timesteps, split), height, width)


def check_timesteps(timesteps: int) -> None:
    """Raise ConfigError unless T is at least 1."""
    if timesteps < 1:
        raise ConfigError(f"timesteps must be at least 1, not {timesteps}")


def check_split(split: str) -> None:
    """Raise ConfigError unless the split is a known one."""
    if split not in get_args(Split):
        raise ConfigError(f"split must be one of {', '.join(get_args(Split))}, not {split!r}")


def time_ordered(events: Events) -> Events:
    """Return events in order of time, those of equal time in theirs; the same ones if they are already."""
    t = np.asarray(events.t)
    if (t[1:] >= t[:-1]).all():
        return events
    order = np.argsort(t, kind="stable")
    return Events(*(np.asarray(column)[order] for column in events))


def slice_bounds(t: NDArray[np.integer], timesteps: int, split: Split) -> list[int]:
    """Return the positions in timestamps t [n], in order, at which slices begin and the last one ends → T+1 numbers."""
    n, steps = len(t), range(1, timesteps)
    if not n:
        return [0] * (timesteps + 1)
    if split == "number":
        return [0, *(-(-k * n // timesteps) for k in steps), n]
    if split == "number_spikingjelly":
        return [0, *(k * (n // timesteps) for k in steps), n]
    span = int(t[-1]) - int(t[0])
    if split == "time_spikingjelly":
        return [0, *positions(t, [k * (span // timesteps) for k in steps]), n]
    # +1 puts the last event into the last slice
    return [0, *positions(t, [-(-k * (span + 1) // timesteps) for k in steps]), n]


def duration_bounds(t: NDArray[np.integer], duration: int, at_most: int) -> list[int]:
    """Return the positions in timestamps t [n], in order, at which frames of so many µs begin and the last one ends.

    Frame k is of the events from k to k + 1 durations after the first; the last event of a recording is in its last
    frame. There are ``at_most`` so many frames, and none without events → F+1 numbers.
    """
    if not len(t):
        return [0]
    count = min(at_most, (int(t[-1]) - int(t[0])) // duration + 1)
    return [0, *positions(t, [k * duration for k in range(1, count + 1)])]


def positions(t: NDArray[np.integer], elapsed: list[int]) -> list[int]:
    """Return how many of the timestamps t [n], in order, come before each time that has elapsed since the first."""
    first, last = int(t[0]), int(t[-1])
    within = np.array([first + each for each in elapsed if first + each <= last], np.asarray(t).dtype)
    return [*np.searchsorted(t, within).tolist(), *[len(t)] * (len(elapsed) - len(within))]


def counts(events: Events, bounds: list[int], height: int, width: int) -> NDArray[np.int64]:
    """Count events [n] in the frames between consecutive bounds → [F,2,H,W]. Raises ValueError for one off the sensor.

    The index of a cell is computed in 32 bits where events come in no more, which halves what is moved in memory.
    """
    begin, end, slices = bounds[0], bounds[-1], len(bounds) - 1
    _, x, y, p = (np.asarray(column)[begin:end] for column in events)
    for name, column, bound in (("x", x, width), ("y", y, height), ("polarity", p, 2)):
        check_range(name, column, bound)
    cells = slices * 2 * height * width
    narrow = cells < 2**31 and max(column.itemsize for column in (x, y, p)) < 8
    cell = np.repeat(2 * np.arange(slices).astype("i4" if narrow else "i8"), np.diff(bounds))
    for column, factor in ((p, height), (y, width)):
        np.add(cell, column, out=cell, casting="unsafe")  # unsigned 64 bits too, for all are small
        cell *= factor
    np.add(cell, x, out=cell, casting="unsafe")
    return np.bincount(cell, minlength=cells).reshape(slices, 2, height, width)


def check_range(name: str, column: NDArray[np.integer], bound: int) -> None:
    """Raise ValueError unless all values of a column [n] are from 0 to bound − 1."""
    if not len(column):
        return
    # seen as unsigned, a negative number is too large: one pass in place of two
    unsigned = column.view(column.dtype.str.replace("i", "u"))
    if unsigned.max() >= bound:
        raise ValueError(f"events with {name} {column.min()}…{column.max()}, but 0…{bound - 1} was expected")
