"""Speech Commands: small files in the original form of both versions."""

import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from small_originals import take_small_originals
from sound_files import tone, write_wav

from membrane.data import speech_commands
from membrane.data.sound.conversion import Clip, sound_sample
from membrane.data.sound.features import SoundFeatures
from membrane.data.sound.layout import SoundLayout
from membrane.data.speech_commands import NOISE, WORDS, SpeechCommands, official_parts
from membrane.errors import DataError

SETTINGS = {"bands": 8, "hop": 25.0, "seconds": 0.1}
SPEAKERS = ("0000000a", "ffffffff", "0137b3f4", "0a2b400e")
PARTS = {"0137b3f4": "validation_list.txt", "0a2b400e": "testing_list.txt"}
"""Speaker → the list that names all that he says; the others train."""


@pytest.fixture(autouse=True)
def few_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_commands, "RECORDINGS", {1: 30 * 4, 2: 35 * 4})
    take_small_originals(monkeypatch, "speech_commands")
    monkeypatch.setattr(speech_commands, "RATE", 800)  # short files


@pytest.fixture(scope="module", params=[1, 2])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A version, and a folder of data with its archive: each speaker says each word once; two recordings of noise."""
    root = tmp_path_factory.mktemp("data")
    folder = root / f"speech_commands_v0.0{request.param}"
    lists: dict[str, list[str]] = {name: [] for name in PARTS.values()}
    for number, word in enumerate(WORDS[request.param]):
        for at, speaker in enumerate(SPEAKERS):
            name = f"{word}/{speaker}_nohash_{at}.wav"
            write_wav(folder / name, tone(80 + number + at, 100, 800), 800)
            if speaker in PARTS:
                lists[PARTS[speaker]].append(name)
        (folder / word / "notes.wav").write_bytes(b"no recording")
    for number in range(2):
        write_wav(folder / NOISE / f"noise_{number}.wav", tone(10_000, 200 + 100 * number, 800), 800)
    for file, names in lists.items():
        (folder / file).write_text("\n".join(names) + "\n")
    return request.param, root


def test_the_parts_are_the_official_ones(archive: tuple[int, Path]) -> None:
    version, root = archive
    words = sorted(WORDS[version])
    parts = SpeechCommands(version=version, classes=len(words), **SETTINGS).load(root, 4)
    assert [len(part) for part in parts] == [2 * len(words), len(words), len(words)]
    speakers = [set(part.group.tolist()) for part in parts]
    assert speakers == [{0x0A, 0xFFFFFFFF}, {0x0137B3F4}, {0x0A2B400E}]
    train = parts[0]
    assert train.classes == tuple(words)
    assert train.y.tolist() == sorted([*range(len(words))] * 2)
    at = 2 * words.index("seven") + 1
    said = tone(80 + WORDS[version].index("seven") + 1, 100, 800)
    assert np.array_equal(train.x[at], SoundFeatures(SoundLayout(**SETTINGS), 800, 4)(said)["x"][0])


def test_the_core_words_alone(archive: tuple[int, Path]) -> None:
    version, root = archive
    train, validation, test = SpeechCommands(version=version, classes=20, **SETTINGS).load(root, 4)
    assert [len(part) for part in (train, validation, test)] == [40, 20, 20]
    assert train.classes[:3] == ("yes", "no", "up")
    assert train.classes[-1] == "nine"
    assert sorted(validation.y.tolist()) == list(range(20))


def test_commands_among_silence_and_unknown_words(archive: tuple[int, Path]) -> None:
    version, root = archive
    data = SpeechCommands(version=version, classes=12, **SETTINGS)
    parts = data.load(root, 4)
    assert data.names[:4] == ("silence", "unknown", "yes", "no")
    for part, words, others in zip(parts, (20, 10, 10), (2, 1, 1), strict=True):  # a tenth of the commands' samples
        counts = Counter(part.y.tolist())
        assert (counts[0], counts[1], sum(counts[label] for label in range(2, 12))) == (others, others, words)
    groups = [set(part.group.tolist()) for part in parts]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]
    again = SpeechCommands(version=version, classes=12, **SETTINGS).load(root, 4)
    assert [part.digest() for part in again] == [part.digest() for part in parts]


def test_silence_is_cut_from_a_stretch_of_each_noise_that_no_other_part_has(archive: tuple[int, Path]) -> None:
    _, root = archive
    folder = next(root.glob("speech_commands_v*")) / NOISE
    taken: dict[Path, list[tuple[int, int, str]]] = {}
    for part in ("train", "validation", "test"):
        clips = list(speech_commands.silence(folder, part, 7, 0))
        assert Counter(clip.path.name for clip in clips) == {"noise_0.wav": 4, "noise_1.wav": 3}
        for clip in clips:
            assert clip.stop == clip.start + 800
            taken.setdefault(clip.path, []).append((clip.start, clip.stop, part))
    for stretches in taken.values():
        for start, stop, part in stretches:
            assert start >= 0
            assert stop <= 10_000
            assert not any(start < end and begin < stop for begin, end, other in stretches if other != part)


def test_the_archive_is_unpacked(archive: tuple[int, Path], tmp_path: Path) -> None:
    version, root = archive
    name = f"speech_commands_v0.0{version}"
    (tmp_path / "speech_commands").mkdir()
    with tarfile.open(tmp_path / "speech_commands" / f"{name}.tar.gz", "w:gz") as packed:
        packed.add(root / name, ".")  # as the original, which has no folder around its own
    data = SpeechCommands(version=version, classes=12, **SETTINGS)
    assert [part.digest() for part in data.load(tmp_path, 4)] == [part.digest() for part in data.load(root, 4)]


def test_an_archive_that_is_not_whole_is_refused(archive: tuple[int, Path], tmp_path: Path) -> None:
    version, root = archive
    data = SpeechCommands(version=version, classes=12, **SETTINGS)
    with pytest.raises(DataError, match=rf"speech_commands/speech_commands_v0\.0{version}\.tar\.gz: missing; put the "):
        data.load(tmp_path, 4)
    folder = tmp_path / "whole"
    folder.symlink_to(next(root.glob("speech_commands_v*")))
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).symlink_to(path)
    (copy / "yes").unlink()
    with pytest.raises(
        DataError,
        match=r"copy/yes/0a2b400e_nohash_3\.wav: missing, and named in testing_list\.txt|"
        r"copy/yes/0137b3f4_nohash_2\.wav: missing, and named in validation_list\.txt",
    ):
        official_parts(copy, version)
    for name in PARTS.values():
        names = (folder / name).read_text().splitlines()
        (copy / name).unlink()
        (copy / name).write_text("\n".join(line for line in names if not line.startswith("yes/")))
    with pytest.raises(
        DataError, match=rf"copy: only {4 * len(WORDS[version]) - 4} recordings, {4 * len(WORDS[version])} exp"
    ):
        official_parts(copy, version)
    (copy / "testing_list.txt").write_text("yes/0a2b400e_nohash_3.wav\n../secret/0a2b400e_nohash_3.wav\n")
    with pytest.raises(DataError, match=r"testing_list\.txt: names '\.\./secret"):
        official_parts(copy, version)
    (copy / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"testing_list\.txt: cannot be read: No such file"):
        official_parts(copy, version)
    with pytest.raises(DataError, match=r"no background noise, of which class silence is made"):
        list(speech_commands.silence(tmp_path / "none", "train", 1, 0))


def test_a_stretch_behind_the_end_of_its_file_is_refused(tmp_path: Path) -> None:
    clip = Clip(write_wav(tmp_path / "noise.wav", tone(100), 800), 0, start=400, stop=900)
    with pytest.raises(DataError, match=r"noise\.wav: ends before 0\.5 s, where a stretch of it begins"):
        sound_sample(SoundFeatures(SoundLayout(**SETTINGS), 800, 4), clip)


def test_other_lists_are_cached_anew(archive: tuple[int, Path]) -> None:
    version, root = archive
    data = SpeechCommands(version=version, classes=20, **SETTINGS)
    before = data.load(root, 4)
    path = next(root.glob("speech_commands_v*")) / "validation_list.txt"
    names = path.read_text()
    path.write_text("".join(line for line in names.splitlines(keepends=True) if not line.startswith("yes/")))
    try:
        after = data.load(root, 4)
    finally:
        path.write_text(names)
    assert [len(part) for part in after] == [len(before[0]) + 1, len(before[1]) - 1, len(before[2])]
