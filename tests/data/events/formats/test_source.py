import os
import re
from pathlib import Path

import numpy as np
import pytest
from event_files import event_file

from membrane.data.events.formats.source import HEADER_LIMIT, EventFile, Field, unwrapped
from membrane.errors import DataError


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "some.bin").write_bytes(b"12345")
    assert EventFile.read(tmp_path / "some.bin") == EventFile(tmp_path / "some.bin", b"12345")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'none.bin'}: cannot be read: No such file")):
        EventFile.read(tmp_path / "none.bin")
    with pytest.raises(DataError, match="not a file"):
        EventFile.read(tmp_path)
    with pytest.raises(DataError, match="cannot be read: embedded null byte"):
        EventFile.read(tmp_path / "a\0b")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bin")
    with pytest.raises(DataError, match="not a file"):
        EventFile.read(tmp_path / "pipe.bin")


def test_header_ends_with_its_last_line_or_its_last_mark() -> None:
    content = b"% Version 2\r\n% end\n% more\n7"
    assert event_file(content).header(b"%").end == len(content) - 1
    assert event_file(content).header(b"% ", last=b"% end").end == content.index(b"% more")


def test_fields_of_a_header() -> None:
    header = event_file(b"% version  2 \r\n% Versions 3\n% VERSION 4\n% empty\n%tight 5\n").header(b"%")
    assert header.field("Version") == Field("2", 0)
    assert header.field("empty") == Field("", 40)
    assert header.field("tight") == Field("5", 48)
    assert header.field("vers") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "byte 0: no header: '%' expected, b'' found"),
        (b"123456789", "byte 0: no header: '%' expected, b'12345678' found"),
        (b"% one\n% two", "byte 6: the header does not end within the file"),
        (b"% one\n%" + b"x" * HEADER_LIMIT, "byte 6: the header does not end within its first 1048576 bytes"),
        (b"%\n" * HEADER_LIMIT, "byte 1048576: the header does not end within its first 1048576 bytes"),
    ],
)
def test_headers_without_start_or_end(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"recording: {message}")):
        event_file(content).header(b"%")


def test_records_fill_the_file() -> None:
    assert event_file(b"12" + b"5" * 10).records(2, 5, "it") == 2
    with pytest.raises(DataError, match="recording: byte 7: it is cut off: 5 bytes expected, 4 left"):
        event_file(b"12" + b"5" * 9).records(2, 5, "it")


def test_sides_of_a_sensor() -> None:
    assert event_file(b"").side(Field("1280", 3)) == 1280
    for text in ("0", "-3", "1e3", "", "100000", "７"):
        with pytest.raises(DataError, match=f"byte 3: '{text}' is no width or height"):
            event_file(b"").side(Field(text, 3))


def test_counters_wrap_where_they_fall_by_half_their_range() -> None:
    counter = np.array([14, 15, 0, 1, 9, 1, 2, 0])
    np.testing.assert_array_equal(unwrapped(counter, 4), [14, 15, 16, 17, 25, 33, 34, 32])
    assert len(unwrapped(counter[:0], 4)) == 0
