"""FSDD, the Free Spoken Digit Dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar, Literal

from membrane.data.origins import ORIGINS
from membrane.data.samples import Samples
from membrane.data.sound.conversion import Clip, load_sound
from membrane.data.sound.features import SoundFeatures
from membrane.data.sound.layout import SoundLayout
from membrane.data.sound.wav import read_wav
from membrane.data.store.conversion import Columns
from membrane.data.store.sources import original_content

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 50
"""Recordings of a digit by a speaker."""
TEST_TAKES = 5
"""Of these the first, which the authors test on."""
RATE = 8000


@dataclass(frozen=True, kw_only=True)
class FSDD(SoundLayout):
    """2700 training and 300 test recordings of spoken digits at 8 kHz, 10 classes, 6 speakers.

    `SoundLayout` explains the other settings. Jackson et al. 2018, doi:10.5281/zenodo.1342401.

    Arguments:
        partition: which recordings are the test part. ``index``, the authors': the first 5 of each digit and speaker,
            so that all speakers are in both parts. ``speaker``: the same with speakers as groups, numbered from 0 in
            the order of the alphabet, of which some are left out to be the test part.
    """

    partition: Literal["index", "speaker"] = "index"

    suffixes: ClassVar[tuple[str, ...]] = (".wav",)

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return the sample of a WAV file. Raises DataError unless it is of one channel, 16 bits and this rate."""
        return SoundFeatures(self, RATE, timesteps)(read_wav(path, RATE))

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train, test). Raises DataError if a recording is missing or damaged.

        Raises ConfigError as `SoundFeatures`, before anything is downloaded.
        """
        features = SoundFeatures(self, RATE, timesteps)
        folder = original_content(root, ORIGINS["fsdd"], "free-spoken-digit-dataset-1.0.10.tar.gz")
        parts: dict[str, list[Clip]] = {"train": [], "test": []}
        for digit, (number, speaker), take in product(range(10), enumerate(SPEAKERS), range(TAKES)):
            group = number if self.partition == "speaker" else None
            recording = Clip(folder / f"{digit}_{speaker}_{take}.wav", digit, group)
            parts["test" if take < TEST_TAKES else "train"].append(recording)
        return load_sound(root, "fsdd", features, parts, classes=[str(digit) for digit in range(10)])
