import re
from pathlib import Path

import numpy as np
import pytest
from event_files import DAT, columns, dat_bytes, equal, event_file, old_dat_bytes, recording
from real_data import real_file

from membrane.data.events.formats.dat import decode_dat
from membrane.data.events.reading import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError


@pytest.mark.parametrize("type_", [0, 12])
@pytest.mark.parametrize("header", [DAT, b"% Version 2\r\n", b"% Width 304\n"])
def test_written_events_are_decoded(header: bytes, type_: int) -> None:
    events = recording(500, 304, 240)
    decoded = decode_dat(event_file(dat_bytes(events, header, type_)))
    assert equal(decoded.events, events)
    assert [column.dtype.name for column in decoded.events] == ["int64", "uint16", "uint16", "uint8"]


def test_version_1_has_narrower_fields() -> None:
    events = recording(500, 304, 240)
    decoded = decode_dat(event_file(old_dat_bytes(events)))
    assert equal(decoded.events, events)
    assert decoded.sensor == (512, 256)


def test_sensor_is_that_of_the_header() -> None:
    events = columns([(0, 0, 0, 0)])
    assert decode_dat(event_file(dat_bytes(events))).sensor == (304, 240)
    assert decode_dat(event_file(dat_bytes(events, b"% height 5\n"))).sensor == (16384, 5)


def test_polarity_is_the_lowest_of_its_four_bits() -> None:
    events = columns([(0, 1, 2, p) for p in range(16)])
    np.testing.assert_array_equal(decode_dat(event_file(dat_bytes(events))).events.p, [0, 1] * 8)


def test_time_wraps() -> None:
    events = columns([(2**32 - 5, 1, 1, 0), (3, 1, 1, 0), (9, 1, 1, 0)])
    np.testing.assert_array_equal(decode_dat(event_file(dat_bytes(events))).events.t - 2**32, [-5, 3, 9])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\x08", "byte 0: no header: '%' expected, b'\\x00\\x08' found"),
        (DAT, f"byte {len(DAT)}: the file ends before the type and size of its events"),
        (DAT + b"\0", f"byte {len(DAT)}: the file ends before the type and size of its events"),
        (DAT + b"\x0e\x08", f"byte {len(DAT)}: event type 14, 0 (Event2d) or 12 (EventCD) expected"),
        (DAT + b"\0\0", f"byte {len(DAT) + 1}: events of 0 bytes, 8 expected"),
        (DAT + b"\0\x08" + b"0" * 21, f"byte {len(DAT) + 18}: the last event is cut off: 8 bytes expected, 5 left"),
        (b"% a\n% Version 3\n\0\x08", "byte 4: DAT version '3'; 1 and 2 can be read"),
        (b"% a\n% Width many\n\0\x08", "byte 4: 'many' is no width or height of a sensor"),
    ],
)
def test_damage_is_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"recording: {message}")):
        decode_dat(event_file(content))


def test_no_events() -> None:
    assert [len(column) for column in decode_dat(event_file(DAT + b"\0\x08")).events] == [0] * 4


@pytest.mark.parametrize("source", ["written", "real"])
def test_equals_independent_decoders(tmp_path: Path, source: str) -> None:
    evio = pytest.importorskip("evio", reason="evio, an independent decoder, is not installed")
    eventcv = pytest.importorskip("eventcv", reason="eventcv, an independent decoder, is not installed")
    (tmp_path / "some.dat").write_bytes(dat_bytes(recording(1000, 304, 240)))
    file = tmp_path / "some.dat" if source == "written" else real_file("event_samples/sample_ncars.dat")
    ours, theirs = read_events(file), evio.read(file)
    assert equal(ours, Events(*(theirs[name] for name in "txyp")))
    x, y, t, p = eventcv.load(str(file), sensor_size=(304, 240)).numpy().T
    assert equal(ours, Events(t, x, y, p))


def test_real_recording() -> None:
    assert len(read_events(real_file("event_samples/sample_ncars.dat"), sensor=(120, 100)).t) == 2009
