import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from event_files import (
    AEDAT2,
    AEDAT3,
    DAT,
    EVT2,
    EVT3,
    aedat2_bytes,
    aedat3_bytes,
    columns,
    dat_bytes,
    equal,
    evt2_bytes,
    evt3_bytes,
    nmnist_bytes,
    recording,
    rows,
)

from membrane.data import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError

Writer = Callable[[Events], bytes]
# suffix, writer, bytes to the first event, bytes of an event where each has its own time
FORMATS = {
    "nmnist": (".bin", nmnist_bytes, 0, 5),
    "dat": (".dat", dat_bytes, len(DAT) + 2, 8),
    "evt2": (".raw", evt2_bytes, len(EVT2) + 4, 8),
    "evt3": (".raw", evt3_bytes, len(EVT3) + 6, 8),
    "aedat2": (".aedat", aedat2_bytes, len(AEDAT2), 8),
    "aedat3": (".aedat", aedat3_bytes, len(AEDAT3) + 28, 8),
}
BACKWARDS = [(9000, 1, 5, 0), (30000, 2, 6, 1), (20000, 3, 7, 0), (20000, 4, 8, 1)]


@pytest.fixture(params=FORMATS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Events], Path]:
    suffix, writer, _, _ = FORMATS[request.param]

    def write(events: Events) -> Path:
        path = tmp_path / f"{request.param}{suffix}"
        path.write_bytes(writer(events))
        return path

    return write


def test_every_format_is_read(written: Callable[[Events], Path]) -> None:
    events = recording(300, 128, 128)
    assert equal(read_events(str(written(events))), events)
    assert equal(read_events(written(events), sensor=(128, 128)), events)


def test_suffixes_in_capitals_and_bs2(tmp_path: Path) -> None:
    events = recording(30, 34, 34)
    for name in ("SOME.BIN", "1.bs2"):
        (tmp_path / name).write_bytes(nmnist_bytes(events))
        assert equal(read_events(tmp_path / name), events)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"some\.npz: an event file ends in \.bin, \.bs2, \.dat, \.raw or \.aedat"):
        read_events(tmp_path / "some.npz")


def test_other_versions_of_aedat_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.aedat").write_bytes(b"#!AER-DAT4.0\r\n")
    message = r"byte 0: b'#!AER-DAT4\.0', but #!AER-DAT2\.0 or #!AER-DAT3\.1 expected"
    with pytest.raises(DataError, match=message):
        read_events(tmp_path / "some.aedat")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("axis", "xy")
def test_events_outside_the_sensor_are_refused(tmp_path: Path, name: str, axis: str) -> None:
    suffix, writer, start, size = FORMATS[name]
    events = columns([(1 + 5000 * number, 10, 20 + number, 0) for number in range(3)] + [(15001, 30, 40, 1)])
    path = tmp_path / f"some{suffix}"
    path.write_bytes(writer(events))
    assert len(read_events(path, sensor=(31, 41)).t) == 4
    sensor = (30, 41) if axis == "x" else (31, 40)
    byte = start + 3 * size
    outside = f"{axis} {30 if axis == 'x' else 40}, outside the sensor of {sensor[0]}×{sensor[1]} pixels"
    with pytest.raises(DataError, match=re.escape(f"{path}: byte {byte}: event 3 has {outside}")):
        read_events(path, sensor=sensor)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".bin", nmnist_bytes(columns([(1, 3, 240, 0)]))),
        (".dat", dat_bytes(columns([(1, 304, 3, 0)]))),
        (".raw", evt2_bytes(columns([(1, 3, 480, 0)]))),
        (".raw", evt3_bytes(columns([(1, 1280, 3, 0)]))),
        (".aedat", aedat3_bytes(columns([(1, 128, 3, 0)]))),
    ],
)
def test_the_sensor_is_what_the_file_declares(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"some{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"event 0 has [xy] \d+, outside the sensor"):
        read_events(path)
    assert len(read_events(path, sensor=(2000, 2000)).t) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_time_that_runs_backwards_is_refused_where_it_does(tmp_path: Path, name: str) -> None:
    suffix, writer, start, size = FORMATS[name]
    path = tmp_path / f"some{suffix}"
    path.write_bytes(writer(columns(BACKWARDS)))
    steps = "from 30000 to 20000 µs at event 2, one of 1 such steps; backwards='sort' sorts the events by time"
    with pytest.raises(DataError, match=re.escape(f"{path}: byte {start + 2 * size}: time runs backwards {steps}")):
        read_events(path)


def test_time_that_runs_backwards_is_sorted_or_kept(written: Callable[[Events], Path]) -> None:
    path = written(columns(BACKWARDS))
    assert rows(read_events(path, backwards="sort")) == [BACKWARDS[place] for place in (0, 2, 3, 1)]
    assert rows(read_events(path, backwards="keep")) == BACKWARDS


def test_small_steps_back_are_legal_in_evt3_alone(written: Callable[[Events], Path]) -> None:
    table = [(5000, 1, 5, 0), (4989, 2, 6, 1), (4990, 2, 6, 1)]
    path = written(columns(table))
    if path.stem == "evt3":
        assert rows(read_events(path)) == table
        assert rows(read_events(path, backwards="sort")) == [table[1], table[2], table[0]]
    else:
        with pytest.raises(DataError, match="time runs backwards from 5000 to 4989 µs"):
            read_events(path)


def test_other_ways_with_backward_time_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="backwards must be one of refuse, sort, keep, not 'mend'"):
        read_events(tmp_path / "some.bin", backwards="mend")  # type: ignore[arg-type]


def test_columns_are_writable_and_own_their_memory(written: Callable[[Events], Path]) -> None:
    for column in read_events(written(recording(50, 100, 100))):
        column[:] = 0
        assert not np.any(column)


def test_reading_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "some.bin").write_bytes(nmnist_bytes(recording(5, 34, 34)))
    read = "import sys; from membrane.data import read_events; print(len(read_events(sys.argv[1]).t)"
    program = f"{read}, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "some.bin"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["5", "False"]
