"""Static digits as an event camera records them while they move in three saccades."""

from pathlib import Path

import numpy as np
import torch

from membrane.data.digits import load_images, split_images
from membrane.data.events.camera import Camera
from membrane.data.events.frames import Split, check_binning, frames
from membrane.data.samples import Samples
from membrane.errors import ConfigError


class DigitsEvents:
    """1437 training and 360 test recordings, frames [n,T,2,size,size] of counts (uint8, scale 1), 10 classes.

    The images of `Digits`, in the same parts and order, recorded by `Camera`. Any T re-bins the same recordings.

    Arguments (`Camera` explains the others):
        split: how events are put into T frames: by ``time`` (the default) or by ``number`` of events, or as
            SpikingJelly does it, ``time_spikingjelly`` or ``number_spikingjelly``; `frames` says how they differ.
        size: pixels a side; 16 show a digit, 12 pixels wide, with room to move.
        amplitude: pixels; 3 moves every edge over two or three pixels.
        fixation: pixels; 0.75 is half a pixel of the image.
        threshold: log units; 0.6 gives about 800 events for each recording.
        mismatch: relative standard deviation of the thresholds.
        background: events for each pixel and second; 0.5 is one event in twenty.
        noise_seed: of everything that is random. It is not the run's: all seeds share one data set.
    """

    scale = 1.0

    def __init__(
        self,
        *,
        split: Split = "time",
        size: int = 16,
        amplitude: float = 3.0,
        fixation: float = 0.75,
        threshold: float = 0.6,
        mismatch: float = 0.1,
        background: float = 0.5,
        noise_seed: int = 0,
    ) -> None:
        check_binning(1, split)
        self.split = split
        self.camera = Camera(
            size=size,
            amplitude=amplitude,
            fixation=fixation,
            threshold=threshold,
            mismatch=mismatch,
            background=background,
            noise_seed=noise_seed,
        )

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test). Nothing is read from ``root``."""
        images, labels = load_images()
        size = self.camera.size
        x = np.stack([frames(events, timesteps, size, size, self.split) for events in self.camera.record(images)])
        if x.max() > 255:
            raise ConfigError(f"{x.max()} events in one pixel and frame exceed 8 bits: raise threshold or timesteps")
        samples = Samples(torch.from_numpy(x.astype(np.uint8)), labels, torch.arange(len(labels)), scale=self.scale)
        train, test = split_images(labels)
        return samples.take(train), samples.take(test)
