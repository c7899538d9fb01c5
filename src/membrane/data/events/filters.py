"""Filters that leave events of a recording out."""

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.frames import check_range
from membrane.data.events.recording import Events


def without_hot_pixels(events: Events, sensor: tuple[int, int], deviations: float) -> Events:
    """Return events [n] without those of pixels that fire far more than others → [m].

    A pixel is hot if it has more events, of both polarities, than the mean plus so many standard deviations, over all
    pixels that have any: those of a smaller view on a larger sensor do not count. Five are those of dvs_tools
    (Scheerlinck 2018). Among k pixels none lies more than √(k−1) standard deviations above the mean. Raises ValueError
    for events off the sensor of (width, height).
    """
    pixel = pixels(events, sensor)
    totals = np.bincount(pixel, minlength=1)
    active = totals[totals > 0]
    if not len(active):
        return events
    hot = totals > active.mean() + deviations * active.std()
    return kept(events, ~hot[pixel]) if hot.any() else events


def outside_refractory_period(events: Events, sensor: tuple[int, int], period: int) -> Events:
    """Return events [n] that come ``period`` µs or more after the last one of their pixel that was kept → [m].

    Both polarities count, as in a pixel that is dead after each event; an event that was left out begins no period.
    Raises ValueError for events off the sensor of (width, height).
    """
    t, pixel = np.asarray(events.t).astype(np.int64), pixels(events, sensor)
    order = np.lexsort((t, pixel))
    t, pixel = t[order], pixel[order]
    # Gaps as long as the period, and those between two pixels, end a period in any case; cut to it, they add up to a
    # time in which one pixel follows another.
    gap = np.full(len(t), period)
    gap[1:] = np.where(pixel[1:] == pixel[:-1], np.minimum(np.diff(t), period), period)
    rested = gap >= period
    elapsed = np.cumsum(gap)
    following = np.searchsorted(elapsed, elapsed + period)  # the next that may be kept, if this one is
    keep = np.zeros(len(t), bool)
    latest = np.flatnonzero(rested)
    while len(latest):
        keep[order[latest]] = True
        latest = following[latest]
        latest = latest[latest < len(t)]
        latest = latest[~rested[latest]]
    return events if keep.all() else kept(events, keep)


def pixels(events: Events, sensor: tuple[int, int]) -> NDArray[np.int64]:
    """Return the number of the pixel [n] of events [n]. Raises ValueError for events off the sensor."""
    width, height = sensor
    x, y = np.asarray(events.x), np.asarray(events.y)
    check_range("x", x, width)
    check_range("y", y, height)
    return y.astype(np.int64) * width + x.astype(np.int64)


def kept(events: Events, mask: NDArray[np.bool_]) -> Events:
    """Return the events [n] at which the mask [n] is true → [m]."""
    return Events(*(np.asarray(column)[mask] for column in events))
