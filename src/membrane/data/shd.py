"""Spoken digits and words as spikes of a model of the inner ear: SHD and SSC."""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.event_set import EventSet, Inventory
from membrane.data.events.framing import joined
from membrane.data.origins import ORIGINS
from membrane.data.store.conversion import Columns
from membrane.data.store.hdf5 import hdf5_column, opened_hdf5
from membrane.data.store.limited import limited_call
from membrane.data.store.sources import original_content
from membrane.errors import DataError

CHANNELS = 700
LONGEST_SECONDS = 3600
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


Ragged: TypeAlias = NDArray[np.object_]
"""Rows of different lengths, an array of arrays."""


class Piece(NamedTuple):
    """A piece of a file, the ``number``-th of ``pieces``: how many recordings there are need not be known before."""

    file: Path
    number: int
    pieces: int

    def rows(self, count: int) -> slice:
        """Return the positions among ``count`` recordings."""
        return slice(count * self.number // self.pieces, count * (self.number + 1) // self.pieces)


class HeidelbergSet(EventSet):
    """Recordings as counts of spikes, x [n,T,1,700], or with ``downsample=5`` [n,T,1,140].

    Spikes are put in order of time first. Cramer, Stradmann, Schemmel & Zenke 2020, IEEE TNNLS 33(7), 2744-2757.
    """

    files: ClassVar[dict[str, str]]
    numbers: ClassVar[dict[str, str]]
    """Column → its name in a file."""
    classes: ClassVar[tuple[str, ...] | None]
    class_count: ClassVar[int]
    pieces: ClassVar[int]
    """In which a file is converted, each read in a process of its own: some hundred recordings."""

    def inventory(self, root: Path) -> Inventory:
        """Return the pieces of all files. Raises DataError if one is missing."""
        origin = ORIGINS[self.name]
        paths = {part: original_content(root, origin, f"{name}.zip") for part, name in self.files.items()}
        numbers = range(self.pieces)
        pieces = {part: [Piece(path, number, self.pieces) for number in numbers] for part, path in paths.items()}
        return Inventory([*paths.values()], lambda: pieces, self.classes)

    def columns(self, item: Any, timesteps: int) -> Columns:
        """Return the columns of a `Piece`. Raises DataError if its file is damaged."""
        columns, times, units = limited_call(item.file, partial(self.read_piece, item))
        wrong = np.flatnonzero((columns["y"] < 0) | (columns["y"] >= self.class_count))
        for at in wrong[:1]:
            number, label = columns["recording"][at], columns["y"][at]
            raise DataError(f"{item.file}: recording {number} has label {label}, 0 to {self.class_count - 1} expected")
        recordings: list[Columns] = []
        for at, number in enumerate(columns["recording"]):
            t, channel = ordered_spikes(times[at], units[at], f"{item.file}: recording {number}")
            of_recording = {column: int(values[at]) for column, values in columns.items()}
            recordings.append(self.channel_columns(t, channel, CHANNELS, timesteps, **of_recording))
        if not recordings:
            return {"x": np.empty((0, timesteps, *self.shape([1, CHANNELS])), np.uint8), **columns}
        return joined(recordings)

    def read_piece(self, piece: Piece) -> tuple[Columns, Ragged, Ragged]:
        """Return the columns of a piece [n] but x, and the times in s and the channels of each recording's spikes [n].

        Raises DataError if the file is damaged.
        """
        with opened_hdf5(piece.file) as file:
            every = {column: hdf5_column(file, name, "iu") for column, name in self.numbers.items()}
            times = hdf5_column(file, "spikes/times", "f", several=True)
            units = hdf5_column(file, "spikes/units", "iu", several=True)
            lengths = {len(column) for column in (*every.values(), times, units)}
            if len(lengths) > 1:
                numbers = " and ".join(map(str, sorted(lengths)))
                raise DataError(f"{piece.file}: columns have {numbers} rows, all must have as many")
            rows = piece.rows(lengths.pop())
            columns: Columns = {column: each[rows].astype(np.int64) for column, each in every.items()}
            return {**columns, "recording": np.arange(rows.start, rows.stop)}, times[rows], units[rows]


class SHD(HeidelbergSet):
    """Spiking Heidelberg Digits: 8,156 training and 2,264 test recordings of 12 speakers, 20 classes.

    Digits in English and German. Two of the speakers are in the test part only; ``group`` is the speaker, so that
    validation is on speakers that training has not heard.
    """

    name = "shd"
    files: ClassVar = {"train": "shd_train.h5", "test": "shd_test.h5"}
    numbers: ClassVar = {"y": "labels", "group": "extra/speaker"}
    classes = (*ENGLISH, *GERMAN)
    class_count = 20
    pieces = 32


class SSC(HeidelbergSet):
    """Spiking Speech Commands: 75,466 training, 9,981 validation and 20,382 test recordings, 35 classes."""

    name = "ssc"
    files: ClassVar = {"train": "ssc_train.h5", "validation": "ssc_valid.h5", "test": "ssc_test.h5"}
    numbers: ClassVar = {"y": "labels"}
    classes = None
    parts = ("train", "validation", "test")
    class_count = 35
    pieces = 256


def ordered_spikes(
    seconds: NDArray[np.floating], units: NDArray[np.integer], recording: str
) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
    """Return the times [k] in µs, in order, and the channels [k] of spikes at seconds [k] in units [k].

    Raises DataError, with the name of the recording, unless there are as many of both, in range.
    """
    if len(seconds) != len(units):
        raise DataError(f"{recording} has {len(seconds)} times and {len(units)} units, as many are expected")
    if not len(units):
        return np.empty(0, np.int64), units
    precise = seconds.astype(np.float64)
    if not (precise.min() >= 0 and precise.max() <= LONGEST_SECONDS):  # false for NaN too
        raise DataError(f"{recording} has spikes at {precise.min():g} to {precise.max():g} s, 0 to {LONGEST_SECONDS} s")
    if not 0 <= units.min() <= units.max() < CHANNELS:
        raise DataError(f"{recording} has units {units.min()} to {units.max()}, 0 to {CHANNELS - 1} expected")
    order = np.argsort(precise, kind="stable")
    return np.rint(precise[order] * 1e6).astype(np.int64), units[order]
