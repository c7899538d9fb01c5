"""Recordings, and event files in their original formats, written event by event."""

import struct
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from membrane.data.events.formats.source import EventFile
from membrane.data.events.recording import Events

Row = tuple[int, int, int, int]  # t, x, y, p

DAT = b"% Data file containing CD events\n% Version 2\n% Width 304\n% Height 240\n"
EVT2 = b"% date 2020-09-25 07:48:31\n% evt 2.0\n% geometry 640x480\n% end\n"
EVT3 = b"% date 2023-01-31 10:00:00\n% format EVT3;height=720;width=1280\n% end\n"
AEDAT2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# Timestamps tick is 1 us\r\n"
AEDAT3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"


def recording(count: int, width: int, height: int, seed: int = 0, longest: int = 40_000) -> Events:
    """Events in order of time, of which many are equal; at some times a row of neighbours fires."""
    generator = np.random.default_rng(seed)
    t = np.sort(generator.integers(0, longest, count) // 50 * 50)
    x, y = generator.integers(0, width, count), generator.integers(0, height, count)
    p = generator.integers(0, 2, count)
    for first in range(0, count - 10, 40):
        t[first : first + 10] = t[first]
        y[first : first + 10], p[first : first + 10] = y[first], p[first]
        x[first : first + 10] = x[first] % (width - 20) + np.cumsum(generator.integers(1, 3, 10)) - 1
    return Events(np.sort(t), x, y, p)


def rows(events: Events) -> list[Row]:
    return [(int(t), int(x), int(y), int(p)) for t, x, y, p in zip(*events, strict=True)]


def columns(table: list[Row]) -> Events:
    return Events(*np.array(table, np.int64).reshape(-1, 4).T)


def equal(events: Events, others: Events) -> bool:
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(events, others, strict=True))


def nmnist_bytes(events: Events) -> bytes:
    return b"".join(struct.pack(">BBBH", x, y, p << 7 | t >> 16, t & 0xFFFF) for t, x, y, p in rows(events))


def dat_bytes(events: Events, header: bytes = DAT, type_: int = 0, size: int = 8) -> bytes:
    packed = (struct.pack("<II", t, x | y << 14 | p << 28) for t, x, y, p in rows(events))
    return header + bytes([type_, size]) + b"".join(packed)


def old_dat_bytes(events: Events) -> bytes:
    packed = (struct.pack("<II", t, x | y << 9 | p << 17) for t, x, y, p in rows(events))
    return b"% Version 1\n" + bytes([0, 8]) + b"".join(packed)


def evt2_words(events: Events) -> Iterator[int]:
    high = None
    for t, x, y, p in rows(events):
        if t >> 6 != high:
            high = t >> 6
            yield 8 << 28 | high & 0xFFFFFFF
        yield p << 28 | (t & 0x3F) << 22 | x << 11 | y


def evt2_bytes(events: Events, header: bytes = EVT2) -> bytes:
    return header + b"".join(struct.pack("<I", word) for word in evt2_words(events))


def evt3_words(events: Events) -> Iterator[int]:
    """Neighbours of one time, row and polarity, in order of x, are written as vectors of 12, 8 and 12 columns."""
    high = time = row = None
    for (t, y, p), group in groupby(rows(events), key=lambda event: (event[0], event[2], event[3])):
        if t >> 12 != high:
            high = t >> 12
            yield 8 << 12 | high & 0xFFF
        if t != time:
            yield 6 << 12 | t & 0xFFF
        if y != row:
            yield y
        time, row = t, y
        xs = [event[1] for event in group]
        if len(xs) == 1 or xs != sorted(set(xs)) or xs[-1] - xs[0] >= 32:
            yield from (2 << 12 | p << 11 | x for x in xs)
        else:
            bits = sum(1 << x - xs[0] for x in xs)
            yield 3 << 12 | p << 11 | xs[0]
            yield from (4 << 12 | bits & 0xFFF, 5 << 12 | bits >> 12 & 0xFF, 4 << 12 | bits >> 20)


def evt3_bytes(events: Events, header: bytes = EVT3) -> bytes:
    return header + b"".join(struct.pack("<H", word) for word in evt3_words(events))


def aedat2_bytes(events: Events, header: bytes = AEDAT2) -> bytes:
    packed = (
        struct.pack(">II", (127 - x) << 8 | (127 - y) << 1 | 1 - p, t & 0xFFFFFFFF) for t, x, y, p in rows(events)
    )
    return header + b"".join(packed)


def packet(table: list[Row], type_: int = 1) -> bytes:
    """An AEDAT 3.1 packet of events with the same upper bits of time."""
    head = struct.pack("<hhiiiiii", type_, 0, 8, 4, table[0][0] >> 31, *[len(table)] * 3)
    return head + b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t & 0x7FFFFFFF) for t, x, y, p in table)


def aedat3_bytes(events: Events, header: bytes = AEDAT3, size: int = 30) -> bytes:
    table = rows(events)
    return header + b"".join(packet(table[first : first + size]) for first in range(0, len(table), size))


WRITERS = {
    "nmnist": (".bin", 34, 34, nmnist_bytes),
    "dat": (".dat", 304, 240, dat_bytes),
    "evt2": (".raw", 640, 480, evt2_bytes),
    "evt3": (".raw", 1280, 720, evt3_bytes),
    "aedat2": (".aedat", 128, 128, aedat2_bytes),
    "aedat3": (".aedat", 128, 128, aedat3_bytes),
}
"""Of each format: the suffix, a sensor's width and height, and what writes a file."""


def event_file(content: bytes, name: str = "recording") -> EventFile:
    return EventFile(Path(name), content)
