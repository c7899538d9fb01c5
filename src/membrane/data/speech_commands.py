"""Google Speech Commands: single words by thousands of people."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from membrane.data.origins import ORIGINS
from membrane.data.samples import Samples
from membrane.data.sound.conversion import Clip, load_sound
from membrane.data.sound.features import SoundFeatures
from membrane.data.sound.layout import SoundLayout
from membrane.data.sound.wav import read_wav
from membrane.data.store.conversion import Columns
from membrane.data.store.originals import table_lines
from membrane.data.store.sources import original_content
from membrane.errors import DataError
from membrane.randomness import derive

RATE = 16_000
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OTHERS = ("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow")
NEW_WORDS = ("backward", "follow", "forward", "learn", "visual")
"""Words of version 2 that version 1 has not."""
WORDS = {1: (*COMMANDS, *DIGITS, *OTHERS), 2: (*COMMANDS, *DIGITS, *OTHERS, *NEW_WORDS)}
RECORDINGS = {1: 64_721, 2: 105_829}
"""Of the words, without background noise. Warden 2018, section 6, and torchaudio's ``SPEECHCOMMANDS``."""
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
NOISE = "_background_noise_"
SILENCE, UNKNOWN = "silence", "unknown"
PERCENT = 10
"""Samples of silence, and of unknown words, for each hundred of the ten commands."""
NOISE_SHARES = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
"""The stretch of each recording of noise from which a part's silence is cut."""
HEADER = 44
"""Bytes of a WAV file before its sound."""
NAME = re.compile(r"([a-z]+)/([0-9a-f]{8})_nohash_[0-9]+\.wav")
NO_SPEAKER = 2**32
"""From here on groups are recordings of noise; below they are speakers, who have hexadecimal numbers of 8 digits."""


@dataclass(frozen=True, kw_only=True)
class SpeechCommands(SoundLayout):
    """One-second recordings of words at 16 kHz, in the official training, validation and test parts; 12 to 35 classes.

    `SoundLayout` explains the other settings. Groups are speakers, no two parts have one in common. Warden 2018,
    arXiv:1804.03209.

    Arguments:
        version: 1 has 64,721 recordings of 30 words, 2 has 105,829 of 35.
        classes: 12: ten commands, ``unknown`` and ``silence``, a tenth as many samples of each as of all commands, as
            published; ``silence`` is cut from background noise, each part's from a stretch of its own. 20: commands
            and digits, the core words. 30 or 35: all words.
    """

    version: Literal[1, 2] = 2
    classes: Literal[12, 20, 30, 35] = 35

    suffixes: ClassVar[tuple[str, ...]] = (".wav",)

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return the sample of a WAV file. Raises DataError unless it is of one channel, 16 bits and this rate."""
        return SoundFeatures(self, RATE, timesteps)(read_wav(path, RATE))

    @property
    def names(self) -> tuple[str, ...]:
        """The classes in the order of their labels."""
        commands = {12: (SILENCE, UNKNOWN, *COMMANDS), 20: (*COMMANDS, *DIGITS)}
        return commands.get(self.classes) or tuple(sorted(WORDS[self.version]))

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train, validation, test). Raises DataError if a recording is missing or damaged.

        Raises ConfigError as `SoundFeatures`, before anything is downloaded.
        """
        features = SoundFeatures(self, RATE, timesteps)
        archive = f"speech_commands_v0.0{self.version}.tar.gz"
        folder = original_content(root, ORIGINS["speech_commands"], archive).parent
        parts = official_parts(folder, self.version)
        samples = {part: [*self.labelled(folder, part, names)] for part, names in parts.items()}
        lists = [folder / name for name in LISTS.values()]
        return load_sound(root, "speech_commands", features, samples, self.names, lists)

    def labelled(self, folder: Path, part: str, names: Sequence[str]) -> Iterator[Clip]:
        """Yield the recordings of a part with their classes, and those that are added for the 12 classes."""
        labels = {word: label for label, word in enumerate(self.names)}
        words = [recording_of(folder, name, labels) for name in names if word_of(name) in labels]
        yield from words
        if self.classes == 12:
            count = -(-len(words) * PERCENT // 100)
            others = [name for name in names if word_of(name) not in labels]
            keys = np.random.PCG64(derive(0, UNKNOWN)).random_raw(len(others))
            for at in np.sort(np.argsort(keys, kind="stable")[:count]):
                yield recording_of(folder, others[at], {word_of(others[at]): labels[UNKNOWN]})
            yield from silence(folder / NOISE, part, count, labels[SILENCE])


def official_parts(folder: Path, version: int) -> dict[str, list[str]]:
    """Return the recordings ``word/file`` of each part, in order. Raises DataError if some are missing."""
    every = [f"{word}/{path.name}" for word in WORDS[version] for path in (folder / word).glob("*.wav")]
    every = sorted(name for name in every if NAME.fullmatch(name))
    listed = {part: listed_recordings(folder / name) for part, name in LISTS.items()}
    for part, names in listed.items():
        if missing := sorted(names - set(every)):
            raise DataError(f"{folder / missing[0]}: missing, and named in {LISTS[part]}: unpack the archive anew")
    if len(every) < RECORDINGS[version]:
        raise DataError(
            f"{folder}: only {len(every)} recordings, {RECORDINGS[version]} expected: unpack the archive anew"
        )
    held_out = listed["validation"] | listed["test"]
    parts = {"train": set(every) - held_out, **listed}
    return {part: sorted(names) for part, names in parts.items()}


def listed_recordings(path: Path) -> set[str]:
    """Return the recordings that a list names. Raises DataError for a line that is not ``word/file``."""
    names = table_lines(path)
    if wrong := next((name for name in names if not NAME.fullmatch(name)), None):
        raise DataError(f"{path}: names {wrong!r:.60}, word/speaker_nohash_0.wav expected: unpack the archive anew")
    return set(names)


def word_of(name: str) -> str:
    """Return the word of a recording ``word/file``."""
    return name.partition("/")[0]


def recording_of(folder: Path, name: str, labels: Mapping[str, int]) -> Clip:
    """Return a recording ``word/speaker_nohash_0.wav`` with its label and, as group, its speaker."""
    word, file = name.split("/")
    return Clip(folder / name, labels[word], int(file[:8], 16))


def silence(folder: Path, part: str, count: int, label: int) -> Iterator[Clip]:
    """Yield ``count`` seconds of background noise, in turn from each recording, evenly spread over the part's stretch.

    Raises DataError if there is no noise.
    """
    files = sorted(folder.glob("*.wav"))
    if not files:
        raise DataError(f"{folder}: no background noise, of which class {SILENCE} is made: unpack the archive anew")
    first, last = NOISE_SHARES[part]
    for number, path in enumerate(files):
        size = max(path.stat().st_size - HEADER, 0) // 2  # int16
        start, end = round(size * first), round(size * last) - RATE
        group = NO_SPEAKER + number * len(NOISE_SHARES) + list(NOISE_SHARES).index(part)
        clips = len(range(number, count, len(files)))
        for at in np.linspace(start, max(start, end), clips, dtype=int):
            yield Clip(path, label, group, int(at), int(at) + RATE)
