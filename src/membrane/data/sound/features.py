"""Recordings to samples, as the settings of sound features say."""

import numpy as np
from numpy.typing import NDArray
from torchaudio.functional import create_dct

from membrane.data.sound.crossings import threshold_crossings
from membrane.data.sound.layout import SoundLayout
from membrane.data.sound.log_mel import LogMel
from membrane.data.store.columns import Column
from membrane.data.store.conversion import Columns
from membrane.errors import ConfigError


class SoundFeatures:
    """int16 [n] → a sample of the layout's shape, and its length.

    Raises ConfigError for more timesteps than frames, or bands that the window cannot tell apart.

    Arguments:
        layout: the settings.
        rate: samples a second.
        timesteps: T, into which the frames are put if the layout has timesteps.
    """

    def __init__(self, layout: SoundLayout, rate: int, timesteps: int) -> None:
        if layout.timesteps_in_data and timesteps > layout.frames:
            raise ConfigError(f"timesteps={timesteps}, but a sample has {layout.frames} frames: use so many or fewer")
        self.layout = layout
        self.rate = rate
        self.timesteps = timesteps
        self.log_mel = LogMel(rate, layout.bands, layout.window, layout.hop, layout.decibels)
        self.cosines: NDArray[np.float32] = create_dct(layout.rows, layout.bands, "ortho").numpy()

    def __call__(self, sound: NDArray[np.int16]) -> Columns:
        """Return x and, with timesteps, lengths, of one sample."""
        layout = self.layout
        loudness = self.log_mel(sound)
        kept = stretched(loudness, layout.stretch) if layout.stretch else loudness[: layout.frames]
        frames = self.frames(kept)
        if layout.timesteps_in_data:
            x = binned(frames, layout.frames, self.timesteps, total=layout.features == "spikes")
            return {"x": x[None], "lengths": np.array([(len(frames) - 1) * self.timesteps // layout.frames + 1])}
        whole = np.zeros((layout.frames, *frames.shape[1:]), frames.dtype)
        whole[: len(frames)] = frames
        return {"x": np.moveaxis(whole, 0, -1).reshape(1, *layout.shape)}

    def frames(self, loudness: NDArray[np.float32]) -> Column:
        """Return features [F,channels,rows] of loudness [F,bands]."""
        layout = self.layout
        if layout.features == "spikes":
            return threshold_crossings(loudness, layout.threshold)
        if layout.center:
            loudness = loudness - loudness.mean(0)
        if layout.features == "mfcc":
            loudness = loudness @ self.cosines
        return loudness[:, None]


def stretched(levels: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Stretch or compress levels [k,bands] in time → [frames,bands], by linear interpolation between the centres."""
    at = (np.arange(frames) + 0.5) * len(levels) / frames - 0.5
    before = np.clip(np.floor(at).astype(int), 0, len(levels) - 1)
    after = np.minimum(before + 1, len(levels) - 1)
    share = np.clip(at - before, 0, 1).astype(np.float32)[:, None]
    between: NDArray[np.float32] = (1 - share) * levels[before] + share * levels[after]
    return between


def binned(frames: Column, whole: int, timesteps: int, total: bool) -> Column:
    """Put frames [F,…], of ``whole`` that a sample has, into T bins of equal time → [T,…]: their mean, or ``total``.

    Frame f is in bin ⌊f·T / whole⌋. A bin is the mean of the frames that are there, and 0 if there are none.
    """
    at = np.arange(len(frames)) * timesteps // whole
    bins = np.zeros((timesteps, *frames.shape[1:]), frames.dtype)
    np.add.at(bins, at, frames)
    if total:
        return bins
    counts = np.maximum(np.bincount(at, minlength=timesteps), 1).astype(frames.dtype)
    means: Column = bins / counts.reshape(-1, *[1] * (frames.ndim - 1))
    return means
