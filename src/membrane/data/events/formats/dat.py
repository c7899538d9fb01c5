"""Prophesee's DAT (`.dat`), the format of N-CARS."""

from typing import NamedTuple

import numpy as np

from membrane.data.events.formats.source import Decoded, EventFile, Header, unwrapped
from membrane.data.events.recording import Events

SIZE = 8  # bytes
TYPES = {0: "Event2d", 12: "EventCD"}


class Layout(NamedTuple):
    """The bits of x, y and polarity in the second word of an event: x lies lowest, then y."""

    x_bits: int
    y_bits: int
    polarity: int


OLD = Layout(x_bits=9, y_bits=8, polarity=17)
CURRENT = Layout(x_bits=14, y_bits=14, polarity=28)


def decode_dat(file: EventFile) -> Decoded:
    """Decode a header of `%` lines, a byte of event type, one of event size, and events of two little-endian u32.

    The first is the time in µs, which wraps after 71 minutes. The second holds x (14 bits), y (14 bits) and polarity in
    the lowest of 4 bits; in version 1 x has 9 bits, y 8, polarity follows. A file that declares no version is read as
    version 2, as by Prophesee's own toolbox. Raises DataError for any other type, size or version.
    """
    header = file.header(b"%")
    start = header.end + 2
    check_type(file, header.end)
    layout = dat_layout(file, header)
    file.records(start, SIZE, "the last event")
    words = np.frombuffer(file.content, "<u4", offset=start).reshape(-1, 2)
    packed = np.ascontiguousarray(words[:, 1])
    t = words[:, 0].astype(np.int64)
    if (t[1:] < t[:-1]).any():
        t = unwrapped(t, 32)
    x = (packed & (1 << layout.x_bits) - 1).astype(np.uint16)
    y = (packed >> layout.x_bits & (1 << layout.y_bits) - 1).astype(np.uint16)
    p = (packed >> layout.polarity & 1).astype(np.uint8)
    return Decoded(Events(t, x, y, p), dat_sensor(file, header, layout), lambda event: start + event * SIZE)


def check_type(file: EventFile, at: int) -> None:
    """Raise DataError unless two bytes say that events follow, of 8 bytes each."""
    if len(file.content) < at + 2:
        raise file.damaged(at, "the file ends before the type and size of its events")
    type_, size = file.content[at : at + 2]
    if type_ not in TYPES:
        known = " or ".join(f"{number} ({name})" for number, name in TYPES.items())
        raise file.damaged(at, f"event type {type_}, {known} expected")
    if size != SIZE:
        raise file.damaged(at + 1, f"events of {size} bytes, {SIZE} expected")


def dat_layout(file: EventFile, header: Header) -> Layout:
    """Return the layout of the version that the header declares. Raises DataError unless it is 0, 1 or 2."""
    version = header.field("version")
    if version is None or version.text == "2":
        return CURRENT
    if version.text in ("0", "1"):
        return OLD
    raise file.damaged(version.byte, f"DAT version {version.text[:40]!r}; 1 and 2 can be read")


def dat_sensor(file: EventFile, header: Header, layout: Layout) -> tuple[int, int]:
    """Return the (width, height) that the header declares, or that the layout can express."""
    sides = (header.field("width"), layout.x_bits), (header.field("height"), layout.y_bits)
    width, height = (1 << bits if field is None else file.side(field) for field, bits in sides)
    return width, height
