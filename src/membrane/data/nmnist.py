"""N-MNIST: handwritten digits before an event camera that moves in three saccades."""

from pathlib import Path
from typing import ClassVar

from membrane.data.events.event_set import CameraSet, Inventory, Recording, expected_files, recordings_by_class
from membrane.data.store.originals import table_lines
from membrane.errors import DataError

DIGITS = tuple("0123456789")


class NMNIST(CameraSet):
    """60,000 training and 10,000 test recordings of 0.3 s, frames [n,T,2,34,34], 10 classes.

    Read from the folders Train and Test, or straight from Train.zip and Test.zip. Orchard, Jayawant, Cohen & Thakor
    2015, Frontiers in Neuroscience 9:437.
    """

    name = "nmnist"
    sensor = (34, 34)
    counts: ClassVar = {"Train": 60_000, "Test": 10_000}

    def inventory(self, root: Path) -> Inventory:
        """Return the recordings of both parts. Raises DataError if one is missing."""
        files = {
            part.lower(): expected_files(self.find(root, f"{part}.zip"), ".bin", count)
            for part, count in self.counts.items()
        }
        return Inventory({part: recordings_by_class(every, DIGITS) for part, every in files.items()})


class NMNISTSubset(CameraSet):
    """The first 1000 training and 100 test recordings of N-MNIST, which come with SLAYER's examples."""

    name = "nmnist_subset"
    sensor = (34, 34)
    tables: ClassVar = {"train": "train1K.txt", "test": "test100.txt"}

    def inventory(self, root: Path) -> Inventory:
        """Return the recordings that the tables of labels list. Raises DataError if one is missing."""
        return Inventory({part: labelled_recordings(self.find(root, name)) for part, name in self.tables.items()})


def labelled_recordings(table: Path) -> list[Recording]:
    """Return the recordings beside a table of their numbers and classes. Raises DataError if it is none."""
    recordings = []
    for number, line in enumerate(table_lines(table), 1):
        if line.startswith("#") or not line.strip():
            continue
        sample, label, *rest = [*line.split(), "", ""]
        if not sample.isdecimal() or label not in DIGITS or any(rest):
            raise DataError(f"{table}: line {number} is {line!r:.40}, the number of a recording and its digit expected")
        recordings.append(Recording(table.with_name(f"{sample}.bs2"), int(label)))
    if not recordings:
        raise DataError(f"{table}: no recordings are listed")
    return recordings
