"""Static digits as an event camera records them while they move in three saccades."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from membrane.data.digits import load_images, split_images
from membrane.data.events.camera import Camera
from membrane.data.events.framing import Framing, joined
from membrane.data.events.reading import EVENT_SUFFIXES, read_events
from membrane.data.samples import Samples
from membrane.data.store.conversion import Columns


@dataclass(frozen=True, kw_only=True)
class DigitsEvents(Framing):
    """1437 training and 360 test recordings, frames [n,T,2,size,size] (counts, scale 1), 10 classes.

    The images of `Digits`, in the same parts and order, recorded by `Camera`. Any T re-bins the same recordings.

    Arguments (`FrameLayout` and `Camera` explain the others):
        size: pixels a side; 16 show a digit, 12 pixels wide, with room to move.
        amplitude: pixels; 3 moves every edge over two or three pixels.
        fixation: pixels; 0.75 is half a pixel of the image.
        threshold: log units; 0.6 gives about 800 events for each recording.
        mismatch: relative standard deviation of the thresholds.
        background: events for each pixel and second; 0.5 is one event in twenty.
        noise_seed: of everything that is random. It is not the run's: all seeds share one data set.
    """

    scale: ClassVar = 1.0
    suffixes: ClassVar[tuple[str, ...]] = EVENT_SUFFIXES

    size: int = 16
    amplitude: float = 3.0
    fixation: float = 0.75
    threshold: float = 0.6
    mismatch: float = 0.1
    background: float = 0.5
    noise_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.camera  # refuses settings out of range

    @property
    def camera(self) -> Camera:
        """The camera that records the images."""
        return Camera(**{field.name: getattr(self, field.name) for field in fields(Camera)})

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return the samples of an event file of any format. Raises DataError if it is damaged."""
        sensor = (self.size, self.size)
        return self.camera_columns(read_events(path, sensor), sensor, timesteps)

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test). Nothing is read from ``root``."""
        images, labels = load_images()
        sensor = (self.size, self.size)
        columns: dict[str, Any] = joined(
            [
                self.camera_columns(events, sensor, timesteps, y=int(label), recording=number)
                for number, (events, label) in enumerate(zip(self.camera.record(images), labels, strict=True))
            ]
        )
        samples = Samples(**columns, scale=self.scale)
        train, test = (samples.take(samples_of(images, samples.recording)) for images in split_images(labels))
        return train, test


def samples_of(recordings: Tensor, recording: Tensor) -> Tensor:
    """Return the positions [m] of the samples, of which ``recording`` [n] rises, that were cut from ``recordings``."""
    ends = torch.bincount(recording).cumsum(0)
    starts = ends - torch.bincount(recording)
    return torch.cat([torch.arange(int(starts[each]), int(ends[each])) for each in recordings])
