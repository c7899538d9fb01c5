"""Settings by which events become frames, shared by all data sets of events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membrane.data.events.frames import Split, check_binning, frames
from membrane.data.events.recording import Events
from membrane.data.store.columns import Column, compact_type
from membrane.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Settings by which a recording becomes frames of counts, in the smallest type that holds them.

    Raises ConfigError for settings out of range.

    Arguments:
        split: how events are put into T frames: by ``time`` (the default) or by ``number`` of events, or as
            SpikingJelly does it, ``time_spikingjelly`` or ``number_spikingjelly``; `frames` says how they differ.
        downsample: side of the squares of pixels (runs of channels, in 1-D) whose events are counted together; 1, the
            default, keeps all pixels. Where it does not divide a side of the sensor, the last squares are smaller.
    """

    split: Split = "time"
    downsample: int = 1

    def __post_init__(self) -> None:
        check_binning(1, self.split)
        if self.downsample < 1:
            raise ConfigError(f"downsample must be at least 1, not {self.downsample}")

    def images(self, events: Events, sensor: tuple[int, int], timesteps: int) -> Column:
        """Count events [n] of a sensor of (width, height) → [T,2,H,W]; channel 0 is OFF, 1 is ON."""
        width, height = (-(-side // self.downsample) for side in sensor)
        t, x, y, p = events
        counts = frames(Events(t, x // self.downsample, y // self.downsample, p), timesteps, height, width, self.split)
        return counts.astype(compact_type(counts))

    def spike_trains(
        self, t: NDArray[np.integer], channel: NDArray[np.integer], channels: int, timesteps: int
    ) -> Column:
        """Count spikes [n], each at a time in µs in one of so many channels, → [T,1,channels]."""
        zeros = np.zeros(len(t), np.uint8)
        return self.images(Events(t, channel, zeros, zeros), (channels, 1), timesteps)[:, :1, 0]
