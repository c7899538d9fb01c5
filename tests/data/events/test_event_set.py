"""Data sets of event files: found, converted once for each of their settings, whole or refused."""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
from event_files import dat_bytes, nmnist_bytes, recording

from membrane.data.events import event_set
from membrane.data.events.event_set import CameraSet, Inventory, expected_files, foreign_code
from membrane.data.events.frames import frames
from membrane.data.events.recording import Events
from membrane.data.origins import ORIGINS, Origin, SourceFile
from membrane.data.store import cache
from membrane.data.store.labelled import LabelledFile, files_by_class
from membrane.data.store.originals import files_read
from membrane.errors import DataError

CLASSES = ("cat", "dog")


@dataclass(frozen=True, kw_only=True)
class Pets(CameraSet):
    name = "pets"
    sensor = (34, 30)
    classes = CLASSES
    suffix = ".bin"

    def inventory(self, root: Path) -> Inventory:
        originals = {part: self.find(root, f"{part}.zip") for part in ("train", "test")}

        def items() -> dict[str, list[LabelledFile]]:
            files = {part: expected_files(path, self.suffix, 2) for part, path in originals.items()}
            return {part: files_by_class(every, CLASSES) for part, every in files.items()}

        return Inventory(files_read(originals.values(), self.suffix), items, CLASSES)


FILES = tuple(SourceFile(f"{part}.zip", forms=(f"{part}/",)) for part in ("train", "test"))
ORIGIN = Origin("pets", "none", "https://pets", files=FILES, folders=("PETS", "pets/extract"))


@pytest.fixture(autouse=True)
def origin(monkeypatch) -> None:
    monkeypatch.setitem(ORIGINS, "pets", ORIGIN)


EVENTS = {
    f"{part}/{name}/{number}.bin": recording(500, 34, 30, seed)
    for seed, (part, name, number) in enumerate([("train", "dog", 1), ("train", "cat", 2), ("test", "cat", 3)])
}
EVENTS["test/cat/4.bin"] = Events(*np.empty((4, 0), np.int64))


def written(root: Path, zipped: bool = False, folder: str = "pets") -> Path:
    """Write the recordings as files or in archives."""
    for name, events in EVENTS.items():
        path = root / folder / (f"{name.split('/')[0]}.zip" if zipped else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if zipped:
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(name, nmnist_bytes(events))
        else:
            path.write_bytes(nmnist_bytes(events))
    return root


@pytest.mark.parametrize(("zipped", "folder"), [(False, "pets"), (True, "PETS"), (False, "pets/extract")])
def test_recordings_are_in_order_of_class_and_name(tmp_path, zipped, folder) -> None:
    parts = Pets().load(written(tmp_path, zipped, folder), 3)
    for part, names in zip(parts, (["train/cat/2", "train/dog/1"], ["test/cat/3", "test/cat/4"]), strict=True):
        expected = [frames(EVENTS[f"{name}.bin"], 3, 30, 34, "time") for name in names]
        np.testing.assert_array_equal(part.x, expected)
        assert part.y.tolist() == [CLASSES.index(name.split("/")[1]) for name in names]
        assert (part.recording.tolist(), part.classes, part.x.element_size()) == ([0, 1], CLASSES, 1)


def test_settings_and_timesteps_have_arrays_of_their_own_and_a_second_start_reads_no_events(
    tmp_path, monkeypatch
) -> None:
    root = written(tmp_path)
    sets = [Pets(), Pets(downsample=2), Pets(split="number"), Pets(backwards="keep")]
    shapes = [tuple(each.load(root, T)[0].x.shape) for each in sets for T in (2, 5)]
    assert shapes == [(2, T, 2, *size) for size in [(30, 34), (15, 17), (30, 34), (30, 34)] for T in (2, 5)]
    assert len([entry for entry in (root / ".cache/pets").iterdir() if entry.is_dir()]) == 8
    for name in ("decode_events", "files_inside"):
        monkeypatch.setattr(event_set, name, lambda *_: pytest.fail("a file was decoded, or an archive listed"))
    whole, coarse = (each.load(root, 5)[0].x for each in sets[:2])
    np.testing.assert_array_equal(whole.reshape(2, 5, 2, 15, 2, 17, 2).sum((4, 6)), coarse)


def test_silence_behind_a_recording_has_no_lengths_and_arrays_of_its_own(tmp_path) -> None:
    root = written(tmp_path)
    padded, silent = (Pets(duration=60000, silence=silence).load(root, 9)[0] for silence in (False, True))
    assert padded.lengths is not None
    assert padded.lengths.max() < 9
    assert silent.lengths is None
    np.testing.assert_array_equal(padded.x, silent.x)
    manifests = [json.loads(path.read_text()) for path in (root / ".cache/pets").glob("*/manifest.json")]
    # arrays that were cached before there was the setting, and know nothing of it, are those without silence
    assert sorted("silence" in manifest["parameters"] for manifest in manifests) == [False, True]


def test_samples_of_one_recording_have_its_number_and_label(tmp_path) -> None:
    settings = Pets(duration=6000, samples="all")
    train, test = settings.load(written(tmp_path), 3)
    for part, names in ((train, ["train/cat/2", "train/dog/1"]), (test, ["test/cat/3", "test/cat/4"])):
        for number, name in enumerate(names):
            expected = settings.camera_columns(EVENTS[f"{name}.bin"], (34, 30), 3)
            rows = part.recording == number
            np.testing.assert_array_equal(part.x[rows], expected["x"])
            assert part.lengths is not None
            assert part.lengths[rows].tolist() == expected["lengths"].tolist()
            assert set(part.y[rows].tolist()) == {CLASSES.index(name.split("/")[1])}
    assert train.recording.tolist() == [0, 0, 1, 1]
    assert test.recording.tolist() == [0, 0, 1]  # the last has no events: one empty frame


def test_a_new_version_and_changed_files_are_converted_anew(tmp_path, monkeypatch) -> None:
    built = []
    real = cache.build_entry
    monkeypatch.setattr(cache, "build_entry", lambda *arguments: built.append(arguments[3]) or real(*arguments))
    root = written(tmp_path)
    Pets().load(root, 2)
    monkeypatch.setattr(Pets, "version", 2)
    Pets().load(root, 2)
    (root / "pets/train/cat/2.bin").write_bytes(nmnist_bytes(recording(7, 34, 30)))
    assert int(Pets().load(root, 2)[0].x[0].sum()) == 7
    settings = {**asdict(Pets()), **foreign_code(Pets), "timesteps": 2}
    del settings["silence"]  # only where it is true
    assert built == [{"version": version, **settings} for version in (1, 2, 2)]


def test_what_is_missing_is_told_of_with_its_source(tmp_path) -> None:
    line = f"{tmp_path}/pets/train.zip: missing; put the original train.zip, test.zip from https://pets into "
    with pytest.raises(DataError, match=line):
        Pets().load(tmp_path, 2)


def test_too_few_recordings_and_others_folders_are_refused(tmp_path) -> None:
    root = written(tmp_path)
    (root / "pets/test/cat/4.bin").rename(root / "pets/test/4.txt")
    with pytest.raises(
        DataError, match=r"test: 1 recordings \(.bin\), 2 expected; replace it by the original, from https://pets"
    ):
        Pets().load(root, 2)
    (root / "pets/test/4.txt").rename(root / "pets/test/4.bin")
    with pytest.raises(DataError, match=r"test/4.bin: in the folder of no class; cat, dog are expected"):
        Pets().load(root, 2)


@pytest.mark.parametrize("zipped", [False, True])
def test_damage_names_the_file_and_leaves_nothing_cached(tmp_path, monkeypatch, zipped) -> None:
    backwards = EVENTS["train/dog/1.bin"]
    monkeypatch.setitem(EVENTS, "train/dog/1.bin", Events(backwards.t[::-1], *backwards[1:]))
    root = written(tmp_path, zipped)
    name = "train.zip/train/dog/1.bin" if zipped else "train/dog/1.bin"
    with pytest.raises(DataError, match=rf"{name}: byte \d+: time runs backwards"):
        Pets().load(root, 2)
    assert [path.name for path in (root / ".cache/pets").iterdir() if path.is_dir()] == []
    ordered = Pets(backwards="sort").load(root, 2)[0].x[1]
    as_is = Pets(backwards="keep", split="number_spikingjelly").load(root, 2)[0].x[1]
    assert int(ordered.sum()) == int(as_is.sum()) == 500
    assert int(as_is[0].sum()) == 250


def test_events_outside_the_sensor_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Pets, "suffix", ".dat")
    monkeypatch.setattr(Pets, "sensor", (34, 29))
    root = written(tmp_path)
    for path in (root / "pets").rglob("*.bin"):
        path.with_suffix(".dat").write_bytes(dat_bytes(EVENTS[path.relative_to(root / "pets").as_posix()]))
    with pytest.raises(DataError, match=r"train/cat/2.dat: byte \d+: event \d+ has y 29, outside the sensor of 34×29"):
        Pets().load(root, 2)
