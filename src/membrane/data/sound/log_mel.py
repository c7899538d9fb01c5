"""Sound to its loudness in bands of the mel scale."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from membrane.errors import ConfigError

FULL_SCALE = 2.0**15
SILENT = 1e-10
"""Power below which torchaudio hears nothing."""


class LogMel:
    """int16 [n] → float32 [frames,bands], from 0, silence, to ``decibels``, the loudest value of the recording.

    Frames are Hann windows, centred at multiples of ``hop``, in sound that is 0 before its start and after its end:
    1 + n // hop of them. The power spectrum is summed in ``bands`` triangles on the HTK mel scale.

    Arguments:
        rate: samples a second.
        bands: number of triangles.
        window: in ms.
        hop: in ms.
        decibels: of the loudest value, above silence.
    """

    def __init__(self, rate: int, bands: int, window: float, hop: float, decibels: float) -> None:
        size = round(rate * window / 1000)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")  # refused
            self.power = MelSpectrogram(
                rate,
                n_fft=2 ** max(size - 1, 1).bit_length(),
                win_length=size,
                hop_length=max(round(rate * hop / 1000), 1),
                n_mels=bands,
                pad_mode="constant",
            )
        if not self.power.mel_scale.fb.any(0).all():
            raise ConfigError(
                f"bands={bands} are narrower than what a window={window:g} ms can tell apart at {rate} Hz: "
                "use fewer, or a longer window"
            )
        self.decibels = decibels
        self.to_decibels = AmplitudeToDB("power", decibels)

    def __call__(self, sound: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return the loudness; all 0 if the recording is silent."""
        power = self.power(torch.from_numpy(sound / np.float32(FULL_SCALE)))
        if power.max() <= SILENT:
            return np.zeros(power.T.shape, np.float32)
        levels = self.to_decibels(power)
        loudness: NDArray[np.float32] = (levels - (levels.max() - self.decibels)).clamp_min(0).T.numpy()
        return loudness
