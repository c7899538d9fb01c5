"""N-CARS: small files in the original format, and a real recording."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from event_files import dat_bytes, recording
from tests.real_data import real_file

from membrane.data.events.frames import frames
from membrane.data.ncars import NCARS
from membrane.errors import DataError

HEADER = b"% Data file containing N9Chronocam7Event2dE events.\n% Version 2\n% Date 2017-10-31 11:29:21\n"
FILES = {"train/background": 5, "train/cars": 2, "test/cars": 3, "test/background": 4}


@pytest.fixture
def originals(tmp_path: Path, monkeypatch) -> Path:
    """One recording a class and part, of as many events as FILES says."""
    monkeypatch.setattr(NCARS, "counts", {"train": 2, "test": 2})
    for name, count in FILES.items():
        folder = tmp_path / "ncars/Prophesee_Dataset_n_cars" / f"n-cars_{name}"
        folder.mkdir(parents=True)
        (folder / "obj_004396_td.dat").write_bytes(dat_bytes(recording(count, 120, 100), HEADER))
    return tmp_path


def test_recordings_are_those_of_the_files(originals) -> None:
    parts = NCARS().load(originals, 2)
    for part, counts in zip(parts, ([5, 2], [4, 3]), strict=True):
        assert (part.y.tolist(), part.x.sum((1, 2, 3, 4)).tolist()) == ([0, 1], counts)
    np.testing.assert_array_equal(parts[0].x[0], frames(recording(5, 120, 100), 2, 100, 120, "time"))


def test_a_recording_larger_than_the_others_is_refused(originals) -> None:
    for path in originals.rglob("*.dat"):
        path.write_bytes(dat_bytes(recording(2000, 121, 100), HEADER))
    with pytest.raises(DataError, match=r"n-cars_train/background/obj_004396_td.dat: byte \d+: event \d+ has x 120"):
        NCARS().load(originals, 2)


def test_a_real_recording_is_counted_as_its_bytes_say(originals) -> None:
    real = real_file("event_samples/sample_ncars.dat")
    for path in originals.rglob("*.dat"):
        shutil.copyfile(real, path)
    counts, content = np.zeros((2, 100, 120), np.int64), real.read_bytes()
    for start in range(content.index(b"\x00\x08") + 2, len(content), 8):
        packed = int.from_bytes(content[start + 4 : start + 8], "little")
        counts[packed >> 28 & 1, packed >> 14 & 0x3FFF, packed & 0x3FFF] += 1
    assert counts.sum() == 2009
    np.testing.assert_array_equal(NCARS().load(originals, 1)[1].x[0, 0], counts)
