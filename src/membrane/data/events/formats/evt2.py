"""Prophesee's encoding EVT 2.0 in RAW files (`.raw`)."""

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.formats.raw import raw_header, raw_sensor
from membrane.data.events.formats.source import Decoded, EventFile, unwrapped
from membrane.data.events.recording import Events

SIZE = 4  # bytes
ON = 1
TIME_HIGH = 8
RESERVED = np.isin(np.arange(16), (0, ON, TIME_HIGH, 10, 14, 15), invert=True)  # the others: trigger, others, continued


def decode_evt2(file: EventFile) -> Decoded:
    """Decode little-endian words of 32 bits, of which the highest 4 are the type.

    An event holds the lowest 6 bits of its time in µs, x and y (11 bits each); TIME_HIGH holds the 28 bits of time
    above them, for the events that follow. Events before the first TIME_HIGH have no time and are left out, as by
    Prophesee's own decoder, and so is all that is no event. Raises DataError for reserved types, and if the last word
    is cut off.
    """
    header = raw_header(file)
    file.records(header.end, SIZE, "the last word")
    words = np.frombuffer(file.content, "<u4", offset=header.end)
    types = (words >> 28).astype(np.uint8)
    if (reserved := RESERVED[types]).any():
        word = int(reserved.argmax())
        raise file.damaged(header.end + word * SIZE, f"a word of type {types[word]}, which EVT2 reserves")
    highs = np.flatnonzero(types == TIME_HIGH)
    first = int(highs[0]) if len(highs) else len(words)
    at = np.flatnonzero(types[first:] <= ON) + first
    packed = words[at]
    t = evt2_time(words[highs], highs, at) | (packed >> 22 & 0x3F)
    x, y = ((packed >> shift & 0x7FF).astype(np.uint16) for shift in (11, 0))
    sensor = raw_sensor(file, header)
    return Decoded(Events(t, x, y, types[at]), sensor, lambda event: header.end + int(at[event]) * SIZE)


def evt2_time(words: NDArray[np.uint32], highs: NDArray[np.intp], at: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the time [n] in µs, without its lowest 6 bits, of events at positions ``at``, TIME_HIGH at ``highs``."""
    high = unwrapped((words & 0xFFFFFFF).astype(np.int64), 28) << 6
    bounds = np.append(np.searchsorted(at, highs), len(at))
    return np.repeat(high, np.diff(bounds))
