import re
import struct
from pathlib import Path

import numpy as np
import pytest
from event_files import EVT3, Row, columns, equal, event_file, evt3_bytes, recording

from membrane.data.events.formats import evt3
from membrane.data.events.formats.evt3 import decode_evt3
from membrane.data.events.reading import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError

HIGH, LOW, VECTOR_12, VECTOR_8, BASE, X = 8 << 12, 6 << 12, 4 << 12, 5 << 12, 3 << 12, 2 << 12
ON = 1 << 11
TYPES = [0, 2, 2, 3, 4, 4, 5, 6, 7, 8, 10, 14, 15]


def encoded(*words: int) -> bytes:
    return EVT3 + struct.pack(f"<{len(words)}H", *words)


def loop(words: list[int]) -> list[tuple[int, Row]]:
    """The obvious way: word by word → for each event its word and itself."""
    high = y = base = None
    low = wraps = 0
    events: list[tuple[int, Row]] = []
    for number, word in enumerate(words):
        type_, value = word >> 12, word & 0xFFF
        if type_ == 8:
            wraps += high is not None and value <= high - 2048
            low, high = low if value == high else 0, value
        elif type_ == 6:
            low = value
        elif type_ == 0:
            y = value & 0x7FF
        elif type_ == 3:
            base, p = value & 0x7FF, value >> 11
        elif type_ == 2 and None not in (high, y):
            events.append((number, ((wraps << 24) + (high << 12) + low, value & 0x7FF, y, value >> 11)))
        elif type_ in (4, 5) and base is not None:
            width = 12 if type_ == 4 else 8
            if None not in (high, y):
                at = [base + column for column in range(width) if value >> column & 1]
                events += [(number, ((wraps << 24) + (high << 12) + low, x, y, p)) for x in at]
            base += width
    return events


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 16])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_loop_on_any_words(seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evt3, "CHUNK", chunk)
    generator = np.random.default_rng(seed)
    types = [0, 2, 3, 4, 5, 6, 7, 10, 14, 15] * 2 + TYPES * 20  # the first events come before any time
    words = [
        type_ << 12 | int(generator.integers(1 << 12)) for type_ in types[:20] + list(generator.permutation(types))
    ]
    expected = loop(words)
    decoded = decode_evt3(event_file(encoded(*words)))
    assert len(expected) > 300
    assert equal(decoded.events, columns([event for _, event in expected]))
    assert [decoded.byte_of(event) for event in range(0, len(expected), 50)] == [
        len(EVT3) + 2 * word for word, _ in expected[::50]
    ]


def test_written_events_are_decoded() -> None:
    events = recording(1000, 1280, 720, longest=100_000)
    content = evt3_bytes(events)
    decoded = decode_evt3(event_file(content))
    assert VECTOR_12 >> 12 in {word >> 12 for (word,) in struct.iter_unpack("<H", content[len(EVT3) :])}
    assert equal(decoded.events, events)
    assert [column.dtype.name for column in decoded.events] == ["int64", "uint16", "uint16", "uint8"]
    assert decoded.sensor == (1280, 720)


def test_time_wraps_only_with_time_high() -> None:
    words = [HIGH | 4095, LOW | 4094, 7, X | 1, LOW | 1, X | 2, HIGH, LOW | 5, X | 3, HIGH | 1, X | 4]
    times = [(4095 << 12) + 4094, (4095 << 12) + 1, (4096 << 12) + 5, 4097 << 12]
    np.testing.assert_array_equal(decode_evt3(event_file(encoded(*words))).events.t, times)


def test_a_repeated_time_high_keeps_time_low() -> None:
    words = [HIGH | 3, LOW | 9, 7, HIGH | 3, X | 1]
    np.testing.assert_array_equal(decode_evt3(event_file(encoded(*words))).events.t, [(3 << 12) + 9])


def test_vectors_go_on_where_the_last_one_ended() -> None:
    words = [HIGH, 7, BASE | ON | 100, VECTOR_12 | 0b1000_0000_0001, X | 3, VECTOR_8 | 0b10, VECTOR_12, VECTOR_8 | 1]
    events = [(0, 100, 7, 1), (0, 111, 7, 1), (0, 3, 7, 0), (0, 113, 7, 1), (0, 132, 7, 1)]
    assert equal(decode_evt3(event_file(encoded(*words))).events, columns(events))


def test_vectors_without_end_leave_the_sensor_and_do_not_come_back() -> None:
    words = [HIGH, 7, BASE, *[VECTOR_12] * 6000, VECTOR_12 | 1]
    assert decode_evt3(event_file(encoded(*words))).events.x[0] >= 2048


@pytest.mark.parametrize("words", [[], [HIGH], [X, 7, X, HIGH, VECTOR_12 | 1]])
def test_no_events(words: list[int]) -> None:
    assert [len(column) for column in decode_evt3(event_file(encoded(*words))).events] == [0] * 4


@pytest.mark.parametrize("type_", [1, 9, 11, 12, 13])
def test_reserved_types_are_refused(type_: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evt3, "CHUNK", 2)
    with pytest.raises(DataError, match=f"byte {len(EVT3) + 6}: a word of type {type_}, which EVT3 reserves"):
        decode_evt3(event_file(encoded(HIGH, 7, X, type_ << 12, X)))


def test_a_cut_off_word_is_found() -> None:
    message = f"byte {len(EVT3) + 2}: the last word is cut off: 2 bytes expected, 1 left"
    with pytest.raises(DataError, match=re.escape(message)):
        decode_evt3(event_file(encoded(HIGH, 7)[:-1]))


def test_equals_an_independent_decoder(tmp_path: Path) -> None:
    eventcv = pytest.importorskip("eventcv", reason="eventcv, an independent decoder, is not installed")
    for seed in range(3):
        path = tmp_path / f"{seed}.raw"
        # twice around the 24 bits of time
        events = recording(30_000, 1280, 720, seed, longest=1 << 25)
        path.write_bytes(evt3_bytes(events, b"% evt 3.0\n% geometry 1280x720\n% end\n"))
        x, y, t, p = eventcv.load(str(path)).numpy().T
        assert equal(read_events(path), Events(t, x, y, p))
