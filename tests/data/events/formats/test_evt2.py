import re
import struct
from pathlib import Path

import pytest
from event_files import EVT2, columns, equal, event_file, evt2_bytes, recording
from real_data import real_file

from membrane.data.events.formats.evt2 import decode_evt2
from membrane.data.events.reading import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError


def encoded(*words: int) -> bytes:
    return EVT2 + struct.pack(f"<{len(words)}I", *words)


def test_written_events_are_decoded() -> None:
    events = recording(1000, 640, 480)
    decoded = decode_evt2(event_file(evt2_bytes(events)))
    assert equal(decoded.events, events)
    assert [column.dtype.name for column in decoded.events] == ["int64", "uint16", "uint16", "uint8"]
    assert decoded.sensor == (640, 480)


def test_time_wraps_after_34_bits() -> None:
    events = columns([(2**34 - 70, 1, 1, 0), (2**34 - 3, 1, 1, 0), (2**34 + 2, 1, 1, 0), (2**34 + 100, 1, 1, 0)])
    assert equal(decode_evt2(event_file(evt2_bytes(events))).events, events)


def test_other_words_and_events_without_a_time_are_left_out() -> None:
    event = 1 << 28 | 3 << 22 | 4 << 11 | 5
    other = [10 << 28, 14 << 28 | 0xFFFFFFF, 15 << 28]
    decoded = decode_evt2(event_file(encoded(event, *other, 8 << 28 | 2, other[0], event, event & 0xFFFFFFF)))
    assert equal(decoded.events, columns([(131, 4, 5, 1), (131, 4, 5, 0)]))
    assert [decoded.byte_of(event) for event in range(2)] == [len(EVT2) + 4 * 6, len(EVT2) + 4 * 7]


@pytest.mark.parametrize("words", [[], [8 << 28], [1 << 28]])
def test_no_events(words: list[int]) -> None:
    assert [len(column) for column in decode_evt2(event_file(encoded(*words))).events] == [0] * 4


@pytest.mark.parametrize("type_", [2, 3, 4, 5, 6, 7, 9, 11, 12, 13])
def test_reserved_types_are_refused(type_: int) -> None:
    with pytest.raises(DataError, match=f"byte {len(EVT2) + 4}: a word of type {type_}, which EVT2 reserves"):
        decode_evt2(event_file(encoded(8 << 28, type_ << 28, 2 << 28)))


def test_a_cut_off_word_is_found() -> None:
    message = f"byte {len(EVT2) + 4}: the last word is cut off: 4 bytes expected, 3 left"
    with pytest.raises(DataError, match=re.escape(message)):
        decode_evt2(event_file(encoded(8 << 28, 1 << 28)[:-1]))


@pytest.mark.parametrize("source", ["written", "real"])
def test_equals_an_independent_decoder(tmp_path: Path, source: str) -> None:
    eventcv = pytest.importorskip("eventcv", reason="eventcv, an independent decoder, is not installed")
    (tmp_path / "some.raw").write_bytes(evt2_bytes(recording(1000, 640, 480)))
    file = tmp_path / "some.raw" if source == "written" else real_file("event_samples/evt2.raw")
    x, y, t, p = eventcv.load(str(file)).numpy().T
    assert equal(read_events(file), Events(t, x, y, p))


def test_real_recording() -> None:
    events = read_events(real_file("event_samples/evt2.raw"), sensor=(640, 480))
    assert (len(events.t), events.t[0], events.t[-1]) == (521_252, 913_716_224, 913_812_095)
