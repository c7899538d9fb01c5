"""FSDD: small files in the original format, and the original ones where they are."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from small_originals import take_small_originals
from sound_files import tone, write_wav
from tests.real_data import real_data

from membrane.data import fsdd
from membrane.data.fsdd import FSDD
from membrane.data.sound.features import SoundFeatures
from membrane.data.sound.layout import SoundLayout
from membrane.errors import DataError

ARCHIVE = "free-spoken-digit-dataset-1.0.10"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data with three recordings of each digit by each of two speakers, all of different length."""
    take_small_originals(monkeypatch, "fsdd")
    monkeypatch.setattr(fsdd, "SPEAKERS", ("anne", "bob"))
    monkeypatch.setattr(fsdd, "TAKES", 3)
    monkeypatch.setattr(fsdd, "TEST_TAKES", 1)
    for digit in range(10):
        for number, speaker in enumerate(("anne", "bob")):
            for take in range(3):
                path = tmp_path / "fsdd" / "recordings" / f"{digit}_{speaker}_{take}.wav"
                write_wav(path, tone(800 + 60 * digit + 20 * number + take))
    return tmp_path


def features_of(root: Path, name: str) -> np.ndarray:
    digit, speaker, take = name.split("_")
    sound = tone(800 + 60 * int(digit) + 20 * (speaker == "bob") + int(take))
    return SoundFeatures(SoundLayout(bands=8), 8000, 4)(sound)["x"][0]


def test_the_first_takes_are_the_test_part(root: Path) -> None:
    train, test = FSDD(bands=8).load(root, 4)
    assert test.y.tolist() == [digit for digit in range(10) for _ in range(2)]
    assert train.y.tolist() == [digit for digit in range(10) for _ in range(4)]
    assert (train.group, test.group, train.lengths) == (None, None, None)
    assert train.recording.tolist() == list(range(40))
    assert train.classes == [str(digit) for digit in range(10)]
    for part, at, name in ((train, 0, "0_anne_1"), (train, 3, "0_bob_2"), (test, 19, "9_bob_0")):
        assert np.array_equal(part.x[at], features_of(root, name))


def test_speakers_are_groups_where_the_partition_is_by_speaker(root: Path) -> None:
    train, test = FSDD(bands=8, partition="speaker").load(root, 4)
    assert train.group is not None
    assert test.group is not None
    assert (train.group.tolist(), test.group.tolist()) == ([0, 0, 1, 1] * 10, [0, 1] * 10)


def test_timesteps_shape_the_cache_only_where_they_are_in_the_data(root: Path) -> None:
    entries = lambda: {path.name for path in (root / ".cache" / "fsdd").iterdir() if path.is_dir()}  # noqa: E731
    first = FSDD(bands=8).load(root, 4)[0]
    assert FSDD(bands=8).load(root, 5)[0].digest() == first.digest()
    assert len(entries()) == 1
    for timesteps in (4, 5):
        train, _ = FSDD(bands=8, form="timesteps", seconds=0.2).load(root, timesteps)
        assert tuple(train.x.shape) == (40, timesteps, 1, 8)
        assert train.lengths is not None
        assert (int(train.lengths.min()), int(train.lengths.max())) == (
            -(-11 * timesteps // 20),
            -(-18 * timesteps // 20),
        )
    assert len(entries()) == 3


def test_missing_and_damaged_recordings_are_named(root: Path) -> None:
    recordings = root / "fsdd" / "recordings"
    (recordings / "7_bob_2.wav").write_bytes((recordings / "7_bob_2.wav").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"7_bob_2\.wav: byte 40: a chunk b'data' of 2484 bytes by its header, 2483"):
        FSDD().load(root, 4)
    (recordings / "7_bob_2.wav").unlink()
    with pytest.raises(DataError, match=r"7_bob_2\.wav: cannot be read: No such file"):
        FSDD().load(root, 4)
    shutil.rmtree(recordings)
    with pytest.raises(
        DataError, match=r"1\.0\.10\.tar\.gz: missing; put the original .* from https://github\.com/Jakob"
    ):
        FSDD().load(root, 4)


def test_the_archive_is_unpacked(root: Path) -> None:
    expected = FSDD(bands=8).load(root, 4)
    with tarfile.open(root / "fsdd" / f"{ARCHIVE}.tar.gz", "w:gz") as archive:
        archive.add(root / "fsdd" / "recordings", f"{ARCHIVE}/recordings")
    shutil.rmtree(root / "fsdd" / "recordings")
    assert [part.digest() for part in FSDD(bands=8).load(root, 4)] == [part.digest() for part in expected]
    assert len(list((root / "fsdd" / ARCHIVE / "recordings").iterdir())) == 60


def test_the_original_files_are_the_published_ones() -> None:
    root = real_data("fsdd/recordings")
    train, test = FSDD(form="timesteps", partition="speaker", bands=8, hop=25.0).load(root, 40)
    assert (tuple(train.x.shape), tuple(test.x.shape)) == ((2700, 40, 1, 8), (300, 40, 1, 8))
    for part, takes in ((train, 45), (test, 5)):
        assert part.group is not None
        pairs, counts = np.unique(np.stack([part.y, part.group]), axis=1, return_counts=True)
        assert (pairs.shape, set(counts.tolist())) == ((2, 60), {takes})
    assert train.lengths is not None
    sevens = train.lengths[train.y == 7].float().mean()  # two syllables
    assert train.lengths[train.y == 8].float().mean() < sevens
