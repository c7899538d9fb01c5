"""Prophesee's encoding EVT 3.0 in RAW files (`.raw`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.formats.raw import raw_header, raw_sensor
from membrane.data.events.formats.source import Decoded, EventFile, unwrapped
from membrane.data.events.recording import Events

SIZE = 2  # bytes
CHUNK = 1 << 16  # words that are decoded at once, so that what lies between stays small
Number = TypeVar("Number", np.int64, np.int16, np.uint8)
FAR = (1 << 16) - 16  # beyond every sensor, and with 11 more still a uint16
ROW, SINGLE, BASE, VECTOR_12, VECTOR_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
RESERVED = (1, 9, 11, 12, 13)


@dataclass
class State:
    """The values that words have set for those that follow; −1 where none has yet.

    Arguments:
        time: in µs, with the wraps of TIME_HIGH.
        row: y.
        column: x at which the next vector begins.
        polarity: of vectors.
    """

    time: int = -1
    row: int = -1
    column: int = -1
    polarity: int = 0


class Chunk(NamedTuple):
    """Decoded words: the events, and from each word that holds some [m] its position in the file, and their number."""

    events: Events
    at: NDArray[np.intp]
    counts: NDArray[np.uint8]


def decode_evt3(file: EventFile) -> Decoded:
    """Decode little-endian words of 16 bits, of which the highest 4 are the type.

    TIME_HIGH sets bits 12 to 23 of the time in µs, which wraps, and TIME_LOW the others, which are 0 until then.
    EVT_ADDR_Y sets y; EVT_ADDR_X is an event; VECT_BASE_X sets x and polarity for vectors: VECT_12 and VECT_8 hold a
    bit for each of the next columns. Events before the first TIME_HIGH, y, or base of vectors are left out, and so is
    all that is no event. Time that steps back a little within a TIME_HIGH is legal. Raises DataError for reserved
    types, and if the last word is cut off.
    """
    header = raw_header(file)
    file.records(header.end, SIZE, "the last word")
    sensor = raw_sensor(file, header)
    parts = [chunk.events for chunk in decoded_chunks(file, header.end)]
    t, x, y, p = (np.concatenate(column) for column in zip(*parts, strict=True))

    def byte_of(event: int) -> int:
        for chunk in decoded_chunks(file, header.end):  # decoded again, so that no more than the events is kept
            if event < len(chunk.events.t):
                break
            event -= len(chunk.events.t)
        behind = np.cumsum(chunk.counts, dtype=np.int64)
        return header.end + SIZE * int(chunk.at[np.searchsorted(behind, event, side="right")])

    return Decoded(Events(t, x, y, p), sensor, byte_of, jitter=(1 << 12) - 1)


def decoded_chunks(file: EventFile, start: int) -> Iterator[Chunk]:
    """Yield the words from a byte to the end of a file, decoded a chunk at a time, at least one."""
    words = np.frombuffer(file.content, "<u2", offset=start)
    state = State()
    for first in range(0, max(len(words), 1), CHUNK):
        part = words[first : first + CHUNK]
        types = (part >> 12).astype(np.uint8)
        if (reserved := any_of(types, RESERVED)).any():
            word = int(reserved.argmax())
            byte = start + SIZE * (first + word)
            raise file.damaged(byte, f"a word of type {types[word]}, which EVT3 reserves")
        events, at, counts = decode_words(part, types, state)
        yield Chunk(events, at + first, counts)


def decode_words(words: NDArray[np.uint16], types: NDArray[np.uint8], state: State) -> Chunk:
    """Decode words [n] of these types after a state, which becomes that behind them; positions count from 0."""
    event = any_of(types, (SINGLE, VECTOR_12, VECTOR_8))
    at = np.flatnonzero(event)
    before = np.cumsum(event, dtype=np.int32)  # event words before each of the other words
    clock, rows, bases = (np.flatnonzero(any_of(types, wanted)) for wanted in ((TIME_LOW, TIME_HIGH), (ROW,), (BASE,)))
    times, y_set = clock_times(words[clock], types[clock] == TIME_HIGH, state), (words[rows] & 0x7FF).astype(np.int16)
    t, y = held(times, before[clock], state.time, len(at)), held(y_set, before[rows], state.row, len(at))
    left, p, valid = event_columns(words[at], types[at], words[bases], before[bases], state)
    state.time, state.row = last_value(times, state.time), last_value(y_set, state.row)
    valid[(t < 0) | (y < 0)] = 0
    bit = np.flatnonzero(np.unpackbits(valid.view(np.uint8), bitorder="little").view(np.bool_))
    word, column = bit >> 4, bit & 15  # 16 bits a word
    x = np.minimum(left[word], FAR) + column
    return Chunk(Events(t[word], x.astype(np.uint16), y[word].astype(np.uint16), p[word]), at, np.bitwise_count(valid))


def any_of(types: NDArray[np.uint8], wanted: Collection[int]) -> NDArray[np.bool_]:
    """Return whether each type [n] is one of those wanted; for so few faster than a look-up."""
    mask: NDArray[np.bool_] = np.logical_or.reduce([types == each for each in wanted])
    return mask


def held(values: NDArray[Number], ranks: NDArray[np.int32], before: int, count: int) -> NDArray[Number]:
    """Return the value [count] in force at each event word: ``before``, then each of ``values`` from its rank on."""
    bounds = np.concatenate([[0], ranks, [count]])
    return np.repeat(np.concatenate([np.array([before], values.dtype), values]), np.diff(bounds))


def last_value(values: NDArray[Number], before: int) -> int:
    """Return the value in force behind all words."""
    return int(values[-1]) if len(values) else before


def clock_times(words: NDArray[np.uint16], high: NDArray[np.bool_], state: State) -> NDArray[np.int64]:
    """Return the time [n] in µs behind each word of time, of which some are TIME_HIGH; −1 before the first of those."""
    value, before = (words & 0xFFF).astype(np.int64), max(state.time, 0)
    highs = unwrapped(np.concatenate([[before >> 12 & 0xFFF], value[high]]), 12) + (before >> 24 << 12)
    lows = ~high
    lows[high] = highs[1:] != highs[:-1]  # a new TIME_HIGH begins at 0
    value[high] = 0
    low = np.concatenate([[before & 0xFFF], value[lows]])[np.cumsum(lows, dtype=np.int32)]
    of_word = np.cumsum(high, dtype=np.int32)
    times: NDArray[np.int64] = highs[of_word] << 12 | low
    if state.time < 0:
        times[of_word == 0] = -1
    return times


def event_columns(
    words: NDArray[np.uint16],
    types: NDArray[np.uint8],
    bases: NDArray[np.uint16],
    ranks: NDArray[np.int32],
    state: State,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint16]]:
    """Return the first column [m] of each event word, the polarity and a bit for each column that holds an event.

    ``bases`` are the words VECT_BASE_X, each before the event word of its rank. What vectors need of the state becomes
    that behind all of them.
    """
    single = types == SINGLE
    widths = np.where(single, 0, np.where(types == VECTOR_12, 12, 8))
    offset = np.concatenate([[0], np.cumsum(widths)])
    origin = (bases & 0x7FF) - offset[ranks]
    left = np.where(single, words & 0x7FF, held(origin, ranks, state.column, len(words)) + offset[:-1])
    of_bases = (bases >> 11 & 1).astype(np.uint8)
    p = np.where(single, (words >> 11 & 1).astype(np.uint8), held(of_bases, ranks, state.polarity, len(words)))
    valid = np.where(single, np.uint16(1), words & ((1 << widths) - 1).astype(np.uint16))
    if state.column < 0:
        without = slice(ranks[0] if len(ranks) else None)  # a base
        valid[without] *= single[without]
    state.column, state.polarity = last_value(origin, state.column), last_value(of_bases, state.polarity)
    if state.column >= 0 or len(bases):
        state.column += int(offset[-1])
    return left, p, valid
