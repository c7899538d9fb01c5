"""Loudness in mel bands against NumPy alone, and at the edges."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sound_files import tone

from membrane.data.sound.log_mel import LogMel
from membrane.errors import ConfigError


def mel_triangles(rate: int, bands: int, bins: int) -> NDArray[np.float64]:
    """Triangles [bins,bands] on the HTK scale, 2595·log10(1 + f/700), from 0 Hz to half of the rate."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    hertz = np.linspace(0, rate / 2, bins)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    return np.maximum(0, np.minimum((hertz - left) / (centre - left), (right - hertz) / (right - centre)))


def loudness(
    sound: NDArray[np.int16], rate: int, bands: int, size: int, hop: int, decibels: float
) -> NDArray[np.float64]:
    """Loudness [frames,bands] frame by frame."""
    bins = 1
    while bins < size:
        bins *= 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    wave = np.pad(sound / 2**15, bins)
    frames = []
    for frame in range(1 + len(sound) // hop):
        start = bins + frame * hop - bins // 2 + (bins - size) // 2
        power = np.abs(np.fft.rfft(window * wave[start : start + size], bins)) ** 2
        frames.append(10 * np.log10(np.maximum(power @ mel_triangles(rate, bands, bins // 2 + 1), 1e-10)))
    levels = np.array(frames)
    return np.maximum(levels - (levels.max() - decibels), 0)


@pytest.mark.parametrize(
    ("rate", "bands", "window", "hop", "decibels", "n"),
    [(8000, 12, 25.0, 10.0, 80.0, 3000), (16000, 20, 32.0, 16.0, 40.0, 5001), (8000, 4, 25.0, 12.5, 80.0, 7)],
)
def test_loudness_is_that_of_numpy(rate: int, bands: int, window: float, hop: float, decibels: float, n: int) -> None:
    sound = tone(n, 900, rate)
    ours = LogMel(rate, bands, window, hop, decibels)(sound)
    expected = loudness(sound, rate, bands, round(rate * window / 1000), round(rate * hop / 1000), decibels)
    assert (ours.dtype, ours.max(), ours.min() >= 0) == (np.dtype(np.float32), decibels, True)
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_a_tone_is_loudest_in_its_band_however_loud_it_is() -> None:
    log_mel = LogMel(8000, 40, 25.0, 10.0, 80.0)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42) / 2595) - 1)
    for band in (10, 25, 38):
        loud = tone(4000, corners[band + 1])
        assert (log_mel(loud)[20].argmax(), log_mel(loud // 100)[20].argmax()) == (band, band)


def test_silence_has_no_loudness() -> None:
    assert not LogMel(8000, 40, 25.0, 10.0, 80.0)(np.zeros(1000, np.int16)).any()
    assert LogMel(8000, 40, 25.0, 10.0, 80.0)(np.ones(1, np.int16)).shape == (1, 40)


def test_bands_between_two_frequencies_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"bands=90 are narrower than what a window=25 ms can tell apart at 8000 Hz"):
        LogMel(8000, 90, 25.0, 10.0, 80.0)
