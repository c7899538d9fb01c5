from pathlib import Path

import pytest
from event_files import equal, event_file, nmnist_bytes, recording
from real_data import real_file

from membrane.data.events.formats.nmnist import decode_nmnist
from membrane.data.events.reading import read_events
from membrane.data.events.recording import Events
from membrane.errors import DataError


def test_written_events_are_decoded() -> None:
    events = recording(1000, 256, 240, longest=1 << 23)
    decoded = decode_nmnist(event_file(nmnist_bytes(events)))
    assert equal(decoded.events, events)
    assert [column.dtype.name for column in decoded.events] == ["int64", "uint16", "uint16", "uint8"]
    assert decoded.sensor == (256, 240)


def test_an_event_by_hand() -> None:
    assert [int(column[0]) for column in decode_nmnist(event_file(bytes([1, 2, 0x83, 4, 5]))).events] == [
        3 * 65536 + 4 * 256 + 5, 1, 2, 1,
    ]  # fmt: skip


def test_no_events() -> None:
    assert [len(column) for column in decode_nmnist(event_file(b"")).events] == [0] * 4


def test_a_cut_off_event_is_found() -> None:
    content = nmnist_bytes(recording(20, 34, 34))
    for left in range(1, 5):
        with pytest.raises(DataError, match=f"byte 95: the last event is cut off: 5 bytes expected, {left} left"):
            decode_nmnist(event_file(content[: 95 + left]))


@pytest.mark.parametrize("source", ["written", "real"])
def test_equals_evio_and_spikingjelly(tmp_path: Path, source: str) -> None:
    evio = pytest.importorskip("evio", reason="evio, an independent decoder, is not installed")
    from spikingjelly.datasets.utils import load_ATIS_bin  # seconds: torchaudio

    path = tmp_path / "some.bin"
    path.write_bytes(nmnist_bytes(recording(1000, 256, 240, longest=1 << 23)))
    file = path if source == "written" else real_file("event_samples/sample_nmnist.bin")
    ours, theirs = read_events(file), evio.read(file)
    assert equal(ours, Events(*(theirs[name] for name in "txyp")))
    assert equal(ours, Events(**load_ATIS_bin(file)))


def test_real_recordings_lie_on_their_sensor_in_order_of_time() -> None:
    files = sorted(real_file("nmnist_subset").glob("*.bs2"))
    events = [read_events(file, sensor=(34, 34)) for file in files]
    assert len(events) == 1100
    assert sum(len(each.t) for each in events) * 5 == sum(file.stat().st_size for file in files)
    assert all(296_000 <= each.t[-1] <= 337_000 for each in events)
