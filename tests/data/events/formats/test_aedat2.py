import re
import struct
from pathlib import Path

import numpy as np
import pytest
from event_files import AEDAT2, aedat2_bytes, columns, equal, event_file, recording

from membrane.data.events.formats.aedat2 import decode_aedat2
from membrane.data.events.reading import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError


def test_written_events_are_decoded() -> None:
    events = recording(1000, 128, 128)
    decoded = decode_aedat2(event_file(aedat2_bytes(events)))
    assert equal(decoded.events, events)
    assert [column.dtype.name for column in decoded.events] == ["int64", "uint16", "uint16", "uint8"]
    assert decoded.sensor == (128, 128)


def test_time_wraps() -> None:
    events = columns([(2**32 - 5, 1, 1, 0), (2**32 + 3, 1, 1, 0)])
    assert equal(decode_aedat2(event_file(aedat2_bytes(events))).events, events)


def test_external_signals_are_left_out() -> None:
    content = AEDAT2 + struct.pack(">4I", 0x8001, 7, 127 << 8 | 126 << 1, 9)
    decoded = decode_aedat2(event_file(content))
    assert equal(decoded.events, columns([(9, 0, 1, 1)]))
    assert decoded.byte_of(0) == len(AEDAT2) + 8


def test_no_events() -> None:
    assert [len(column) for column in decode_aedat2(event_file(AEDAT2)).events] == [0] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "byte 0: no header: '#' expected, b'' found"),
        (AEDAT2 + b"\0" * 13, f"byte {len(AEDAT2) + 8}: the last event is cut off: 8 bytes expected, 5 left"),
        (
            AEDAT2 + struct.pack(">4I", 0x7FFF, 0, 0x10000, 0),
            f"byte {len(AEDAT2) + 8}: address 0x10000, which a DVS128 does not have",
        ),
    ],
)
def test_damage_is_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"recording: {message}")):
        decode_aedat2(event_file(content))


def test_equals_spikingjelly(tmp_path: Path) -> None:
    from spikingjelly.datasets.cifar10_dvs import _load_origin_data  # seconds: torchaudio

    path = tmp_path / "some.aedat"
    path.write_bytes(aedat2_bytes(recording(2000, 128, 128)))
    theirs = _load_origin_data(path)
    assert equal(read_events(path), Events(**{name: np.asarray(column) for name, column in theirs.items()}))
