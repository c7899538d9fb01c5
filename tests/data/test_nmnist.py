"""N-MNIST: small files in the original format, and the real subset counted from its bytes."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from event_files import nmnist_bytes, recording, rows
from small_originals import take_small_originals
from tests.real_data import real_data

from membrane.data.nmnist import NMNIST, NMNISTSubset
from membrane.errors import DataError

TRAIN = {f"Train/{digit}/{digit:05}.bin": recording(300, 34, 34, digit) for digit in range(10)}
TEST = {"Test/7/00001.bin": recording(200, 34, 34, 10), "Test/2/00002.bin": recording(100, 34, 34, 11)}


@pytest.fixture
def originals(tmp_path: Path, monkeypatch) -> Path:
    """Recordings of ten digits in an archive, of two in folders."""
    take_small_originals(monkeypatch, "nmnist")
    monkeypatch.setattr(NMNIST, "counts", {"Train": 10, "Test": 2})
    (tmp_path / "nmnist").mkdir()
    with zipfile.ZipFile(tmp_path / "nmnist/Train.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, events in TRAIN.items():
            archive.writestr(name, nmnist_bytes(events))
    for name, events in TEST.items():
        path = tmp_path / "nmnist" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(nmnist_bytes(events))
    return tmp_path


def test_recordings_are_those_of_the_files(originals) -> None:
    train, test = NMNIST().load(originals, 4)
    assert tuple(train.x.shape) == (10, 4, 2, 34, 34)
    assert (train.y.tolist(), test.y.tolist()) == (list(range(10)), [2, 7])
    for part, events in ((train, TRAIN["Train/3/00003.bin"]), (test, TEST["Test/7/00001.bin"])):
        counts = np.zeros((2, 34, 34))
        for _, x, y, p in rows(events):
            counts[p, y, x] += 1
        np.testing.assert_array_equal(part.x[3 if part is train else 1].sum(0), counts)


def test_all_recordings_of_the_original_are_needed(originals, monkeypatch) -> None:
    monkeypatch.setattr(NMNIST, "counts", {"Train": 60_000, "Test": 2})
    with pytest.raises(DataError, match=r"Train.zip: 10 recordings \(.bin\), 60000 expected; replace it by"):
        NMNIST().load(originals, 4)


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    """A subset of three recordings."""
    folder = tmp_path / "nmnist_subset"
    folder.mkdir()
    for number in (1, 2, 60001):
        (folder / f"{number}.bs2").write_bytes(nmnist_bytes(recording(50 * number % 1000, 34, 34)))
    (folder / "train1K.txt").write_text("#sample #class\n2\t5\n1\t0\n")
    (folder / "test100.txt").write_text("#sample #class\r\n60001\t9\r\n\n")
    return tmp_path


def test_the_subset_is_what_its_tables_list(subset) -> None:
    train, test = NMNISTSubset().load(subset, 2)
    assert (train.y.tolist(), test.y.tolist()) == ([5, 0], [9])
    assert (train.x.sum((1, 2, 3, 4)).tolist(), int(test.x.sum())) == ([100, 50], 50)


@pytest.mark.parametrize("line", ["1", "1\t10", "x\t1", "../1\t1", "1\t1\t1", "-1 1", "1\t٣"])
def test_other_lines_in_a_table_are_refused(subset, line) -> None:
    (subset / "nmnist_subset/test100.txt").write_text(f"#sample #class\n60001\t9\n{line}\n")
    with pytest.raises(DataError, match=r"test100.txt: line 3 is .*, the number of a recording and its digit expected"):
        NMNISTSubset().load(subset, 2)


def test_missing_recordings_and_empty_tables_are_refused(subset) -> None:
    (subset / "nmnist_subset/1.bs2").unlink()
    with pytest.raises(DataError, match=r"nmnist_subset/1.bs2: cannot be read: No such file"):
        NMNISTSubset().load(subset, 2)
    (subset / "nmnist_subset/train1K.txt").write_text("#sample #class\n")
    with pytest.raises(DataError, match=r"train1K.txt: no recordings are listed"):
        NMNISTSubset().load(subset, 2)


def loop(content: bytes, timesteps: int) -> np.ndarray:
    """Count the events of a file byte by byte, in frames of equal duration."""
    events = [content[start : start + 5] for start in range(0, len(content), 5)]
    times = [(event[2] & 0x7F) << 16 | event[3] << 8 | event[4] for event in events]
    counts = np.zeros((timesteps, 2, 34, 34), np.int64)
    for event, time in zip(events, times, strict=True):
        frame = (time - times[0]) * timesteps // (times[-1] - times[0] + 1)
        counts[frame, event[2] >> 7, event[1], event[0]] += 1
    return counts


def test_the_real_subset_is_counted_as_its_bytes_say() -> None:
    root = real_data("nmnist_subset")
    folder = root / "nmnist_subset"
    train, test = NMNISTSubset().load(root, 10)
    for part, first, table in ((train, 1, "train1K.txt"), (test, 60001, "test100.txt")):
        labels = [int(line.split()[1]) for line in (folder / table).read_text().splitlines()[1:]]
        files = [folder / f"{first + number}.bs2" for number in range(len(labels))]
        assert part.y.tolist() == labels
        assert part.x.sum((1, 2, 3, 4)).tolist() == [file.stat().st_size // 5 for file in files]
        for number in range(0, len(labels), 25):
            np.testing.assert_array_equal(part.x[number], loop(files[number].read_bytes(), 10))
