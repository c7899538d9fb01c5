"""AEDAT 3.1 (`.aedat`), the format of DVS128 Gesture."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from membrane.data.events.formats.source import Decoded, EventFile, Header
from membrane.data.events.recording import Events

PACKET = struct.Struct("<hhiiiiii")  # type, source, then size … valid of Packet
POLARITY = 1
SIZE = 8  # bytes
TIME_OFFSET = 4
SIDE = 1 << 15  # x and y have 15 bits
CHIPS = {"DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS240": (240, 180), "DAVIS346": (346, 260)}


class Packet(NamedTuple):
    """A packet of events of one type.

    Arguments:
        byte: at which the packet begins.
        type: 1 is polarity.
        source: the camera.
        size: bytes of an event.
        time_offset: the byte of an event at which its time begins.
        overflow: what is above the 31 bits of time.
        capacity: events that there is room for.
        number: events that there are.
        valid: events that count.
    """

    byte: int
    type: int
    source: int
    size: int
    time_offset: int
    overflow: int
    capacity: int
    number: int
    valid: int

    @property
    def start(self) -> int:
        """Return the byte at which the first event begins."""
        return self.byte + PACKET.size


def decode_aedat3(file: EventFile) -> Decoded:
    """Decode a header that ends with `#!END-HEADER`, then packets of 28 bytes and their events, little-endian.

    A polarity event is two u32: a bit of validity, one of polarity, y and x (15 bits each); and the lower 31 bits of
    the time in µs. Other events, and those that their packet declares invalid, are left out. Raises DataError if a
    packet's numbers contradict each other or the file, or if an event's time is negative.
    """
    header = file.header(b"#", last=b"#!END-HEADER")
    sensor = aedat3_sensor(file, header)
    packets = [packet for packet in all_packets(file, header.end) if packet.type == POLARITY and packet.number]
    numbers = np.array([packet.number for packet in packets], np.int64)
    parts = [np.frombuffer(file.content, "<u4", 2 * packet.number, packet.start) for packet in packets]
    words = np.concatenate([np.empty(0, "<u4"), *parts]).reshape(-1, 2)
    complete = np.repeat([packet.valid == packet.number for packet in packets], numbers).astype(bool)
    at = np.flatnonzero(complete | ((words[:, 0] & 1) == 1))

    def byte_of(event: int) -> int:
        packet = int(np.searchsorted(np.cumsum(numbers), at[event], side="right"))
        return packets[packet].start + SIZE * int(at[event] - numbers[:packet].sum())

    packed, t = words[at, 0], words[at, 1].astype(np.int64)
    if (negative := t >> 31).any():
        raise file.damaged(byte_of(int(negative.argmax())) + TIME_OFFSET, "a time below 0")
    t |= np.repeat(np.array([packet.overflow for packet in packets], np.int64) << 31, numbers)[at]
    x, y = ((packed >> shift & 0x7FFF).astype(np.uint16) for shift in (17, 2))
    return Decoded(Events(t, x, y, (packed >> 1 & 1).astype(np.uint8)), sensor, byte_of)


def aedat3_sensor(file: EventFile, header: Header) -> tuple[int, int]:
    """Return the (width, height) of the camera that the header names, or what 15 bits address.

    Raises DataError if the header has no end, or says that the events are compressed.
    """
    if header.field("!END-HEADER") is None:
        raise file.damaged(header.end, "the header does not end with '#!END-HEADER'")
    encoding = header.field("Format:")
    if encoding is not None and encoding.text != "RAW":
        raise file.damaged(encoding.byte, f"events encoded as {encoding.text[:40]!r}; RAW can be read")
    source = header.field(r"Source \d+:")
    chip = source.text if source else ""
    return next((size for name, size in CHIPS.items() if chip.startswith(name)), (SIDE, SIDE))


def all_packets(file: EventFile, at: int) -> Iterator[Packet]:
    """Yield the packets from a byte to the end of the file. Raises DataError if one of them cannot be."""
    while at < len(file.content):
        left = len(file.content) - at
        if left < PACKET.size:
            raise file.damaged(at, f"a packet is cut off: {PACKET.size} bytes expected, {left} left")
        packet = Packet(at, *PACKET.unpack_from(file.content, at))
        check_packet(file, packet)
        yield packet
        at = packet.start + packet.capacity * packet.size


def check_packet(file: EventFile, packet: Packet) -> None:
    """Raise DataError if the numbers of a packet contradict each other or the file."""
    expected = (SIZE, TIME_OFFSET) if packet.type == POLARITY else (max(packet.size, 1), packet.time_offset)
    if (packet.size, packet.time_offset) != expected:
        what = f"events of {packet.size} bytes with their time at {packet.time_offset}"
        raise file.damaged(packet.byte + 4, f"{what}, {expected[0]} and {expected[1]} expected")
    if packet.overflow < 0:
        raise file.damaged(packet.byte + 12, f"a time overflow of {packet.overflow}")
    if not 0 <= packet.valid <= packet.number <= packet.capacity:
        numbers = f"{packet.capacity} events, of which {packet.number} are there and {packet.valid} valid"
        raise file.damaged(packet.byte + 16, f"a packet of {numbers}")
    left = len(file.content) - packet.start
    if packet.capacity * packet.size > left:
        needed = f"{packet.capacity} events of {packet.size} bytes"
        raise file.damaged(packet.byte + 16, f"a packet of {needed}, but only {left} bytes are left")
