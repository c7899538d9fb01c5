"""N-MNIST: handwritten digits before an event camera that moves in three saccades."""

from pathlib import Path
from typing import ClassVar

from membrane.data.events.event_set import CameraSet, Inventory, Items, expected_files
from membrane.data.store.labelled import LabelledFile, files_by_class
from membrane.data.store.originals import files_read, table_lines
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
        originals = {part: self.find(root, f"{part}.zip") for part in self.counts}

        def items() -> Items:
            files = {part: expected_files(path, ".bin", self.counts[part]) for part, path in originals.items()}
            return {part.lower(): files_by_class(every, DIGITS) for part, every in files.items()}

        return Inventory(files_read(originals.values(), ".bin"), items)


class NMNISTSubset(CameraSet):
    """The first 1000 training and 100 test recordings of N-MNIST, which come with SLAYER's examples."""

    name = "nmnist_subset"
    sensor = (34, 34)
    tables: ClassVar = {"train": "train1K.txt", "test": "test100.txt"}

    def inventory(self, root: Path) -> Inventory:
        """Return the recordings that the tables of labels list. Raises DataError if one is missing."""
        tables = {part: self.find(root, name) for part, name in self.tables.items()}
        labels = {part: labels_of_table(table) for part, table in tables.items()}
        files = [*tables.values(), *(path for each in labels.values() for path in each)]
        recordings = {part: [LabelledFile(*pair) for pair in each.items()] for part, each in labels.items()}
        return Inventory(files, lambda: recordings)


def labels_of_table(table: Path) -> dict[Path, int]:
    """Return the digits of recordings by their paths, beside a table of them. Raises DataError if it is none."""
    labels = {}
    for number, line in enumerate(table_lines(table), 1):
        if line.startswith("#") or not line.strip():
            continue
        sample, label, *rest = [*line.split(), "", ""]
        if not sample.isdecimal() or label not in DIGITS or any(rest):
            raise DataError(f"{table}: line {number} is {line!r:.40}, the number of a recording and its digit expected")
        labels[table.with_name(f"{sample}.bs2")] = int(label)
    if not labels:
        raise DataError(f"{table}: no recordings are listed")
    return labels
