"""WAV files that tests write, by the standard library."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def tone(n: int, hertz: float = 440.0, rate: int = 8000, peak: float = 8000.0) -> NDArray[np.int16]:
    """A tone that swells over n samples, with a little noise."""
    t = np.arange(n)
    noise = np.random.default_rng(n).normal(size=n) * peak / 100
    return (peak * np.sin(2 * np.pi * hertz * t / rate) * (t + 1) / n + noise).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = 8000) -> Path:
    """Write int16 [n] as one channel of 16-bit PCM, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path
