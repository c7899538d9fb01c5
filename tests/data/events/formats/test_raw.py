import re

import pytest
from event_files import event_file

from membrane.data.events.formats.raw import raw_encoding, raw_header, raw_sensor
from membrane.errors import DataError


@pytest.mark.parametrize(
    ("header", "encoding", "sensor"),
    [
        (b"% evt 2.0\n", "EVT2", (2048, 2048)),
        (b"% evt 3.0\r\n% geometry 640x480\r\n", "EVT3", (640, 480)),
        (b"% format EVT3;height=720;width=1280\n% evt 3.0\n", "EVT3", (1280, 720)),
        (b"% format EVT2;width=320\n", "EVT2", (320, 2048)),
        (b"% format EVT3\n% geometry 1280 x 720\n", "EVT3", (1280, 720)),
    ],
)
def test_encoding_and_sensor(header: bytes, encoding: str, sensor: tuple[int, int]) -> None:
    file = event_file(b"% Date today\n" + header + b"% end\n% more\n")
    fields = raw_header(file)
    assert fields.end == len(file.content) - len(b"% more\n")
    assert (raw_encoding(file, fields), raw_sensor(file, fields)) == (encoding, sensor)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"%%% evt 2.0\n", "byte 0: no header: '% ' expected, b'%%% evt ' found"),
        (b"% Date today\n", "byte 0: the header does not say how events are encoded; EVT2 and EVT3 can be read"),
        (b"% a\n% evt 2.1\n", "byte 4: events encoded as '2.1'; EVT2 and EVT3 can be read"),
        (b"% evt 2.0\n% format HISTO3D;width=3\n", "byte 10: events encoded as 'HISTO3D'; EVT2 and EVT3 can be read"),
        (b"% evt 2.0\n% geometry 640\n", "byte 10: '' is no width or height of a sensor"),
        (b"% format EVT2;width=0\n", "byte 0: '0' is no width or height of a sensor"),
    ],
)
def test_other_headers_are_refused(header: bytes, message: str) -> None:
    file = event_file(header)
    with pytest.raises(DataError, match=re.escape(f"recording: {message}")):
        raw_encoding(file, raw_header(file)), raw_sensor(file, raw_header(file))
