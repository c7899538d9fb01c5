"""CIFAR10-DVS: images of CIFAR-10 that move on a screen before an event camera."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from membrane.data.events.event_set import CameraSet, Inventory, Items, expected_files
from membrane.data.events.partitions import partitioned
from membrane.data.store.labelled import LabelledFile
from membrane.data.store.originals import files_read
from membrane.errors import DataError

OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUMBERED = re.compile(r"_(\d{1,9})\.aedat$")


@dataclass(frozen=True, kw_only=True)
class CIFAR10DVS(CameraSet):
    """10,000 recordings of 1.3 s, frames [n,T,2,128,128], 10 classes; 9,000 train and 1,000 test.

    Read from folders named like the classes, or straight from airplane.zip and so on. Li, Liu, Ji, Li & Shi 2017,
    Frontiers in Neuroscience 11:309.

    Arguments (`CameraSet` explains the others):
        partition: which 100 recordings of each class are the test part, for there is no official one; accuracies under
            different ones are not comparable. ``spikingjelly``, the default: the last in order of their names, as in
            SEW ResNet, Spikformer and the spike-driven transformer. ``tebn``: the numbers 0 to 99, as in TEBN (Duan et
            al. 2022). ``random``: drawn from each class, always the same ones.
    """

    name = "cifar10_dvs"
    sensor = (128, 128)
    count: ClassVar = 1000

    partition: Literal["spikingjelly", "tebn", "random"] = "spikingjelly"

    def inventory(self, root: Path) -> Inventory:
        """Return the recordings of both parts. Raises DataError if one is missing, ConfigError for the partition."""
        originals = [self.find(root, f"{name}.zip") for name in OBJECTS]

        def items() -> Items:
            recordings = [
                LabelledFile(file, label)
                for label, original in enumerate(originals)
                for file in expected_files(original, ".aedat", self.count).values()
            ]
            tebn = np.array([number_of(recording) for recording in recordings]) < self.count // 10
            return partitioned(recordings, self.partition, tebn=tebn)

        return Inventory(files_read(originals, ".aedat"), items, OBJECTS)


def number_of(recording: LabelledFile) -> int:
    """Return the number at the end of a file's name. Raises DataError if there is none."""
    number = NUMBERED.search(str(recording.file))
    if number is None:
        raise DataError(f"{recording.file}: a name as cifar10_airplane_12.aedat is expected")
    return int(number[1])
