"""DVS128 Gesture: small trials in the original format, cut at the times of their tables."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from event_files import aedat3_bytes, recording
from small_originals import take_small_originals

from membrane.data.dvs128_gesture import DVS128Gesture
from membrane.data.events.frames import frames
from membrane.data.events.recording import Events
from membrane.errors import DataError

TABLES = {
    "user01_led": "class,startTime_usec,endTime_usec\n1,1000,9000\n11,9000,9001\n2,20000,30000\n",
    "user01_lab": "class,startTime_usec,endTime_usec\r\n8,500,39000\r\n8,30000,40000\r\n\r\n",  # they overlap
    "user24_natural": "class,startTime_usec,endTime_usec\n3,0,99999999\n",
}
TRIALS = {name: recording(600, 128, 128, seed) for seed, name in enumerate(TABLES)}


@pytest.fixture
def originals(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(DVS128Gesture, "counts", {"train": 2, "test": 1})
    folder = tmp_path / "dvs128_gesture/DvsGesture"
    folder.mkdir(parents=True)
    for name, table in TABLES.items():
        (folder / f"{name}_labels.csv").write_text(table)
        (folder / f"{name}.aedat").write_bytes(aedat3_bytes(TRIALS[name]))
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\nuser01_lab.aedat\n\n")
    (folder / "trials_to_test.txt").write_text("user24_natural.aedat")
    return tmp_path


def test_each_gesture_is_a_recording_of_its_person(originals) -> None:
    train, test = DVS128Gesture().load(originals, 3)
    assert (train.y.tolist(), train.group.tolist(), train.recording.tolist()) == (
        [0, 10, 1, 7, 7],
        [1] * 5,
        [*range(5)],
    )
    assert (test.y.tolist(), test.group.tolist(), test.recording.tolist()) == ([2], [24], [0])
    assert [train.classes[label] for label in train.y[:3]] == ["hand clapping", "other gestures", "right hand wave"]
    times = [("user01_led", 1000, 9000), ("user01_led", 9000, 9001), ("user01_led", 20000, 30000)]
    times += [("user01_lab", 500, 39000), ("user01_lab", 30000, 40000)]
    for x, (name, start, end) in zip(train.x, times, strict=True):
        inside = [row for row in zip(*TRIALS[name], strict=True) if start <= row[0] < end]
        events = Events(*np.array(inside, np.int64).reshape(-1, 4).T)
        np.testing.assert_array_equal(x, frames(events, 3, 128, 128, "time"))
    np.testing.assert_array_equal(test.x[0], frames(TRIALS["user24_natural"], 3, 128, 128, "time"))


@pytest.mark.parametrize(
    ("file", "content", "line"),
    [
        (
            "user01_led_labels.csv",
            "class,start,end\n12,1,2\n",
            r"user01_led_labels.csv: line 2 is '12,1,2', a class",
        ),
        ("user01_led_labels.csv", "class,start,end\n\n0,1,2\n", "line 3 is '0,1,2'"),
        ("user01_led_labels.csv", "class,start,end\n1,2,2\n", "line 2 is '1,2,2', a class from 1 to 11, its start and"),
        ("user01_led_labels.csv", "class,start,end\n1,2\n", "line 2 is '1,2'"),
        ("user01_led_labels.csv", "class,start,end\n", r"user01_led_labels.csv: no gestures are listed"),
        ("trials_to_train.txt", "user01_led.aedat\n../user01_lab.aedat\n", r"line 2 is '../user01_lab.aedat', a trial"),
        (
            "trials_to_train.txt",
            "user01_led.aedat\n",
            r"txt: 1 trials are listed, 2 expected; replace",
        ),
        ("trials_to_test.txt", "user25_led.aedat\n", r"user25_led_labels.csv: cannot be read: No such file"),
        ("user01_lab.aedat", "#!AER-DAT3.1\r\n", r"user01_lab.aedat: byte \d+: the header does not end"),
    ],
)
def test_damaged_tables_and_files_are_refused(originals, file, content, line) -> None:
    (originals / "dvs128_gesture/DvsGesture" / file).write_text(content)
    with pytest.raises(DataError, match=line):
        DVS128Gesture().load(originals, 2)


def test_the_archive_is_unpacked(originals, monkeypatch) -> None:
    take_small_originals(monkeypatch, "dvs128_gesture")
    folder = originals / "dvs128_gesture"
    with tarfile.open(folder / "DvsGesture.tar.gz", "w:gz") as archive:
        archive.add(folder / "DvsGesture", "DvsGesture")
    shutil.rmtree(folder / "DvsGesture")
    assert DVS128Gesture().load(originals, 2)[0].y.tolist() == [0, 10, 1, 7, 7]


def test_a_changed_table_is_converted_anew(originals) -> None:
    DVS128Gesture().load(originals, 2)
    (originals / "dvs128_gesture/DvsGesture/user24_natural_labels.csv").write_text("class,start,end\n5,0,9999999\n")
    assert DVS128Gesture().load(originals, 2)[1].y.tolist() == [4]
