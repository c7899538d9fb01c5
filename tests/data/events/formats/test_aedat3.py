import re
import struct
import tracemalloc
from pathlib import Path

import pytest
from event_files import AEDAT3, aedat3_bytes, columns, equal, event_file, packet, recording, rows

from membrane.data.events.formats.aedat3 import decode_aedat3
from membrane.data.events.reading import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError

START = len(AEDAT3)


def head(type_: int = 1, size: int = 8, offset: int = 4, overflow: int = 0, numbers: tuple[int, int, int] = (1, 1, 1)):
    return AEDAT3 + struct.pack("<hhiiiiii", type_, 0, size, offset, overflow, *numbers)


def test_written_events_are_decoded() -> None:
    events = recording(1000, 128, 128)
    decoded = decode_aedat3(event_file(aedat3_bytes(events)))
    assert equal(decoded.events, events)
    assert [column.dtype.name for column in decoded.events] == ["int64", "uint16", "uint16", "uint8"]
    assert decoded.sensor == (128, 128)


def test_time_goes_on_above_31_bits() -> None:
    table = [(2**31 - 5, 1, 1, 0), (2**31 + 3, 1, 1, 0), (2**33 + 7, 2, 2, 1)]
    content = AEDAT3 + b"".join(packet([row]) for row in table)
    assert equal(decode_aedat3(event_file(content)).events, columns(table))


def test_other_packets_and_invalid_events_are_left_out() -> None:
    special = struct.pack("<hhiiiiii", 0, 0, 8, 4, 0, 2, 2, 2) + b"\xff" * 16
    empty = struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 0, 0, 0)
    table = [(5, 1, 1, 0), (6, 2, 2, 1)]
    mixed = bytearray(packet(table))
    mixed[24:28] = struct.pack("<i", 1)
    mixed[28] &= 0xFE  # the first is not valid
    decoded = decode_aedat3(event_file(AEDAT3 + special + packet(table) + empty + bytes(mixed)))
    assert equal(decoded.events, columns([*table, table[1]]))
    expected = [START + 44 + 28, START + 44 + 36, START + 44 + 44 + 28 + 36]
    assert [decoded.byte_of(event) for event in range(3)] == expected


def test_room_for_more_events_is_skipped() -> None:
    roomy = head(numbers=(3, 1, 1)) + packet([(5, 1, 1, 0)])[28:] + b"\xff" * 16
    assert equal(
        decode_aedat3(event_file(roomy + packet([(7, 2, 2, 1)]))).events, columns([(5, 1, 1, 0), (7, 2, 2, 1)])
    )


@pytest.mark.parametrize(
    ("source", "sensor"),
    [
        (b"#Source 1: DAVIS240C\r\n", (240, 180)),
        (b"#Source 0: DAVIS346\n", (346, 260)),
        (b"#Source 1: eye\r\n", (32768, 32768)),
        (b"", (32768, 32768)),
    ],
)
def test_sensor_is_that_of_the_camera(source: bytes, sensor: tuple[int, int]) -> None:
    content = b"#!AER-DAT3.1\r\n" + source + b"#!END-HEADER\r\n"
    decoded = decode_aedat3(event_file(content))
    assert decoded.sensor == sensor
    assert [len(column) for column in decoded.events] == [0] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "byte 0: no header: '#' expected, b'' found"),
        (b"#!AER-DAT3.1\r\n", "byte 14: the header does not end with '#!END-HEADER'"),
        (AEDAT3.replace(b"RAW", b"PNGFrames"), "byte 14: events encoded as 'PNGFrames'; RAW can be read"),
        (AEDAT3 + b"\0" * 27, f"byte {START}: a packet is cut off: 28 bytes expected, 27 left"),
        (head(size=0), f"byte {START + 4}: events of 0 bytes with their time at 4, 8 and 4 expected"),
        (head(type_=2, size=0), f"byte {START + 4}: events of 0 bytes with their time at 4, 1 and 4 expected"),
        (head(offset=0), f"byte {START + 4}: events of 8 bytes with their time at 0, 8 and 4 expected"),
        (head(overflow=-1), f"byte {START + 12}: a time overflow of -1"),
        (
            head(numbers=(1, 2, 1)),
            f"byte {START + 16}: a packet of 1 events, of which 2 are there and 1 valid",
        ),
        (
            head(numbers=(-1, -1, -1)),
            f"byte {START + 16}: a packet of -1 events, of which -1 are there and -1 valid",
        ),
        (
            head(numbers=(2, 2, 2)) + b"\0" * 15,
            f"byte {START + 16}: a packet of 2 events of 8 bytes, but only 15 bytes are left",
        ),
        (head() + b"\0" * 7 + b"\x80", f"byte {START + 32}: a time below 0"),
    ],
)
def test_damage_is_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"recording: {message}")):
        decode_aedat3(event_file(content))


def test_nothing_is_allocated_for_events_that_are_not_there() -> None:
    most = 2**31 - 1
    file = event_file(head(numbers=(most, most, most)))
    tracemalloc.start()
    with pytest.raises(DataError, match="only 0 bytes are left"):
        decode_aedat3(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_equals_spikingjelly(tmp_path: Path) -> None:
    from spikingjelly.datasets.utils import load_aedat_v3  # seconds: torchaudio

    events = recording(1000, 128, 128)
    special = struct.pack("<hhiiiiii", 0, 0, 8, 4, 0, 1, 1, 1) + b"\0" * 8
    later = [(t + 2**31, x, y, p) for t, x, y, p in rows(events)]
    path = tmp_path / "some.aedat"
    path.write_bytes(aedat3_bytes(events) + special + packet(later))
    assert equal(read_events(path), Events(**load_aedat_v3(path)))
