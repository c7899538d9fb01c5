"""Recordings to samples of frames, by settings that all data sets of events share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from membrane.data.events.filters import outside_refractory_period, without_hot_pixels
from membrane.data.events.frames import check_timesteps, counts, duration_bounds, slice_bounds, time_ordered
from membrane.data.events.layout import FrameLayout
from membrane.data.events.recording import Events
from membrane.data.store.columns import Column, compact_type
from membrane.data.store.conversion import Columns
from membrane.errors import ConfigError

MOST_CELLS, MOST_FRAMES = 2**31, 2**20
"""Of a recording: 2 GiB of counts of 8 bits, and a million frames."""
AT_ONCE = 2**22
"""Cells that are counted at a time, in 64 bits: 32 MiB."""


@dataclass(frozen=True, kw_only=True)
class Framing(FrameLayout):
    """Turns a recording into samples of frames, in the smallest type that holds their values.

    `FrameLayout` explains the settings. Filters see the whole recording at the sensor's resolution: hot pixels are left
    out first, then events in refractory periods. Frames are of what remains.
    """

    def camera_columns(self, events: Events, sensor: tuple[int, int], timesteps: int, **columns: int) -> Columns:
        """Return the samples of a recording of events [n] of a sensor of (width, height): x [k,T,C,H,W] and others.

        C is 2 (OFF, ON), or 1 of signed values. With a duration there are ``lengths`` [k], unless ``silence`` counts;
        each of ``columns`` is that number for all k. Raises ConfigError if there are too many frames or fewer than T,
        ValueError for events off the sensor.
        """
        check_timesteps(timesteps)
        if self.frames is not None and self.frames < timesteps:
            raise ConfigError(f"frames={self.frames} are fewer than timesteps={timesteps}: use so many or more")
        events = self.filtered(events, sensor)
        x, lengths = self.cut(self.valued(self.counted(events, sensor, timesteps)), timesteps)
        timed: Columns = {} if self.duration is None or self.silence else {"lengths": lengths}
        return {"x": x, **timed, **{name: np.full(len(x), value) for name, value in columns.items()}}

    def channel_columns(
        self, t: NDArray[np.integer], channel: NDArray[np.integer], channels: int, timesteps: int, **columns: int
    ) -> Columns:
        """Return the samples of a recording of spikes [n], each at a time in µs in one of so many channels.

        x is [k,T,1,channels]. Raises ConfigError for signed values too, for there is no polarity.
        """
        self.shape([1, channels])
        zeros = np.zeros(len(t), np.uint8)
        whole = self.camera_columns(Events(t, channel, zeros, zeros), (channels, 1), timesteps, **columns)
        return {**whole, "x": whole["x"][:, :, :1, 0]}

    def filtered(self, events: Events, sensor: tuple[int, int]) -> Events:
        """Return the events [m] that the filters leave of a recording [n]."""
        if self.hot_pixels is not None:
            events = without_hot_pixels(events, sensor, self.hot_pixels)
        if self.refractory is not None:
            events = outside_refractory_period(events, sensor, self.refractory)
        return events

    def counted(self, events: Events, sensor: tuple[int, int], timesteps: int) -> Column:
        """Count events [n] in the frames that samples are cut from → [F,2,H,W], of pixels counted together."""
        if self.duration is not None or self.split != "number_spikingjelly":
            events = time_ordered(events)
        width, height = (-(-side // self.downsample) for side in sensor)
        bounds = self.bounds(events, 2 * width * height, timesteps)
        if self.downsample > 1:
            t, x, y, p = events
            events = Events(t, x // self.downsample, y // self.downsample, p)
        step = max(1, AT_ONCE // (2 * width * height))
        starts = range(0, max(1, len(bounds) - 1), step)
        pieces = [counts(events, bounds[start : start + step + 1], height, width) for start in starts]
        return joined_rows([each.astype(compact_type(each)) for each in pieces])

    def bounds(self, events: Events, cells: int, timesteps: int) -> list[int]:
        """Return where in events [n], in order, frames of so many cells begin and the last one ends → F+1 numbers."""
        most = min(MOST_CELLS // cells, MOST_FRAMES)
        if self.duration is None:
            setting, bounds = f"frames={self.frames}", slice_bounds(events.t, self.frames or timesteps, self.split)
        else:
            wanted = timesteps if self.samples == "first" else most + 1
            setting, bounds = f"duration={self.duration}", duration_bounds(events.t, self.duration, wanted)
        if self.samples == "all" and len(bounds) - 1 > most:
            raise ConfigError(f"{setting} cuts a recording into more than {most} frames, the most that are possible")
        return bounds

    def valued(self, frames: Column) -> Column:
        """Turn counts [F,2,H,W] into values [F,C,H,W]."""
        if self.values == "binary":
            return np.minimum(frames, 1)
        if self.values == "signed":
            off, on = frames.astype(np.int64).swapaxes(0, 1)
            difference: Column = (on - off)[:, None]
            most = max(-int(difference.min(initial=0)), int(difference.max(initial=0)))
            return difference.astype(np.min_scalar_type(-most - 1))
        return frames

    def cut(self, frames: Column, timesteps: int) -> tuple[Column, NDArray[np.int64]]:
        """Return the samples [k,T,…] of frames [F,…], and their lengths [k].

        Frames behind the last whole sample are left out, but a recording of fewer than T is one sample, which is padded
        with zeros. Its length is 1 at least: a recording without events is an empty frame.
        """
        if len(frames) < timesteps:
            padding = np.zeros((timesteps - len(frames), *frames.shape[1:]), frames.dtype)
            return np.concatenate([frames, padding])[None], np.array([max(1, len(frames))])
        if self.samples == "first":
            return frames[None, :timesteps], np.array([timesteps])
        windows = sliding_window_view(frames, timesteps, axis=0)[:: self.stride or timesteps]
        return np.moveaxis(windows, -1, 1), np.full(len(windows), timesteps)


def joined_rows(pieces: Sequence[Column]) -> Column:
    """Return rows [k,…] of several pieces as one, in the widest of their types; without a copy if there is one."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def joined(columns: Sequence[Columns]) -> Columns:
    """Return the samples of several recordings as one: each column [k,…] behind the other."""
    return {name: joined_rows([each[name] for each in columns]) for name in columns[0]}
