"""N-CARS: cars and other views from behind a windscreen, by an event camera."""

from pathlib import Path
from typing import ClassVar

from membrane.data.events.event_set import CameraSet, Inventory, Items, expected_files
from membrane.data.store.labelled import files_by_class
from membrane.data.store.originals import files_read


class NCARS(CameraSet):
    """15,422 training and 8,607 test recordings of 0.1 s, frames [n,T,2,100,120], 2 classes: background and cars.

    A recording is cut from a larger view and has its own size, up to 120×100 pixels; it lies in the upper left corner.
    Sironi, Brambilla, Bourdis, Lagorce & Benosman 2018, CVPR.
    """

    name = "ncars"
    sensor = (120, 100)
    classes: ClassVar = ("background", "cars")
    counts: ClassVar = {"train": 15_422, "test": 8_607}

    def inventory(self, root: Path) -> Inventory:
        """Return the recordings of both parts. Raises DataError if one is missing."""
        originals = {part: self.find(root, f"n-cars_{part}.zip") for part in self.counts}

        def items() -> Items:
            files = {part: expected_files(path, ".dat", self.counts[part]) for part, path in originals.items()}
            return {part: files_by_class(every, self.classes) for part, every in files.items()}

        return Inventory(files_read(originals.values(), ".dat"), items, self.classes)
