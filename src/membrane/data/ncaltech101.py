"""N-Caltech101: images of objects before an event camera that moves in three saccades."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from membrane.data.events.event_set import CameraSet, Inventory, expected_files
from membrane.data.events.partitions import partitioned
from membrane.data.store.labelled import files_by_class
from membrane.data.store.originals import files_read
from membrane.data.store.sources import damaged_file


@dataclass(frozen=True, kw_only=True)
class NCaltech101(CameraSet):
    """8,709 recordings of 0.3 s, frames [n,T,2,180,240], 100 classes of objects and one of backgrounds.

    Read from the folder Caltech101, or straight from Caltech101.zip. Classes have 31 to 800 recordings. Orchard,
    Jayawant, Cohen & Thakor 2015, Frontiers in Neuroscience 9:437.

    Arguments (`CameraSet` explains the others):
        partition: which tenth of each class is the test part, for there is no official one. ``random``, the default:
            drawn, always the same. ``spikingjelly``: the last in order of their names.
    """

    name = "ncaltech101"
    sensor = (240, 180)
    count: ClassVar = 8709
    class_count: ClassVar = 101

    partition: Literal["random", "spikingjelly"] = "random"

    def inventory(self, root: Path) -> Inventory:
        """Return the recordings of both parts. Raises DataError if one is missing, ConfigError for the partition."""
        original = self.find(root, "Caltech101.zip")
        files = expected_files(original, ".bin", self.count)
        classes = sorted({path.parent.name for path in files})
        if len(classes) != self.class_count:
            raise damaged_file(original, f"{len(classes)} folders of classes, {self.class_count} expected")
        recordings = files_by_class(files, classes)
        items = partial(partitioned, recordings, self.partition)
        return Inventory(files_read([original], ".bin"), items, classes)
