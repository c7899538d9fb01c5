"""DVS128 Gesture: hand and arm gestures before an event camera."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from membrane.data.events.event_set import CameraSet, Inventory
from membrane.data.events.framing import joined
from membrane.data.events.recording import Events
from membrane.data.origins import ORIGINS
from membrane.data.store.conversion import Columns
from membrane.data.store.originals import table_lines
from membrane.data.store.sources import damaged_file, original_content
from membrane.errors import DataError

GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
TRIAL = re.compile(r"user(\d{1,4})_\w{1,60}\.aedat", re.ASCII)
ROW = re.compile(r"(\d{1,2}),(\d{1,18}),(\d{1,18})", re.ASCII)


class Gesture(NamedTuple):
    """A gesture in a trial: its class, and when it begins and ends, in µs on the clock of the trial's file."""

    label: int
    start: int
    end: int


class Trial(NamedTuple):
    """A trial of a user: gestures one after the other in one file.

    Arguments:
        file: its events.
        table: that of its gestures.
        user: number of the person.
        first: gestures in the trials before it, in its part.
        gestures: in order of time.
    """

    file: Path
    table: Path
    user: int
    first: int
    gestures: tuple[Gesture, ...]


class DVS128Gesture(CameraSet):
    """1,176 training and 288 test gestures of 23 and 6 people, frames [n,T,2,128,128], 11 classes.

    The official parts have different people; ``group`` is the person, so that validation is by person too. A gesture is
    what lies between the times in the tables of the 122 trials, as in SpikingJelly and snnTorch; Tonic's parts are
    smaller. Amir et al. 2017, CVPR, A low power, fully event-based gesture recognition system.
    """

    name = "dvs128_gesture"
    sensor = (128, 128)
    counts: ClassVar = {"train": 98, "test": 24}

    def inventory(self, root: Path) -> Inventory:
        """Return the trials that the lists of both parts name. Raises DataError if a file is missing or damaged."""
        folder = original_content(root, ORIGINS[self.name], "DvsGesture.tar.gz")
        lists = {part: folder / f"trials_to_{part}.txt" for part in self.counts}
        trials = {part: list(listed_trials(path)) for part, path in lists.items()}
        for part, count in self.counts.items():
            if len(trials[part]) != count:
                raise damaged_file(lists[part], f"{len(trials[part])} trials are listed, {count} expected")
        every = [trial for listed in trials.values() for trial in listed]
        files = [*lists.values(), *(trial.table for trial in every), *(trial.file for trial in every)]
        return Inventory(files, lambda: trials, GESTURES)

    def columns(self, item: Any, timesteps: int) -> Columns:
        """Return the columns of the gestures in a `Trial`. Raises DataError if its file is damaged."""
        events = self.events(item.file)
        return joined(
            [
                self.camera_columns(
                    between(events, gesture),
                    self.sensor,
                    timesteps,
                    y=gesture.label,
                    group=item.user,
                    recording=item.first + number,
                )
                for number, gesture in enumerate(item.gestures)
            ]
        )


def listed_trials(path: Path) -> Iterator[Trial]:
    """Yield the trials that a list names, which lie beside it. Raises DataError if it names anything else."""
    first = 0
    for number, line in enumerate(table_lines(path), 1):
        if not (name := line.strip()):
            continue
        match = TRIAL.fullmatch(name)
        if match is None:
            raise DataError(f"{path}: line {number} is {name!r:.40}, a trial as user01_led.aedat is expected")
        table = path.with_name(f"{name.removesuffix('.aedat')}_labels.csv")
        gestures = tuple(listed_gestures(table))
        yield Trial(path.with_name(name), table, int(match[1]), first, gestures)
        first += len(gestures)


def listed_gestures(table: Path) -> Iterator[Gesture]:
    """Yield the gestures of a trial's table, below its heading. Raises DataError if it lists anything else, or none."""
    rows = [(number, line.strip()) for number, line in enumerate(table_lines(table), 1) if number > 1 and line.strip()]
    if not rows:
        raise DataError(f"{table}: no gestures are listed")
    for number, row in rows:
        match = ROW.fullmatch(row)
        label, start, end = map(int, match.groups()) if match else (0, 0, 0)
        if not (1 <= label <= len(GESTURES) and start < end):
            expected = f"a class from 1 to {len(GESTURES)}, its start and its end in µs are expected"
            raise DataError(f"{table}: line {number} is {row!r:.40}, {expected}")
        yield Gesture(label - 1, start, end)


def between(events: Events, gesture: Gesture) -> Events:
    """Return the events from a gesture's start to its end, which is no longer part of it."""
    inside = (events.t >= gesture.start) & (events.t < gesture.end)
    return Events(*(column[inside] for column in events))
