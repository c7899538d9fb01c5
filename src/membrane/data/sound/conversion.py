"""Files of sound to the cached parts of a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from membrane.data.samples import Samples
from membrane.data.sound.features import SoundFeatures
from membrane.data.sound.wav import read_wav
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns, converted
from membrane.errors import DataError

VERSION = 1
"""Of what is done here and in `SoundFeatures`; another one is cached anew."""


@dataclass(frozen=True)
class Clip:
    """A WAV file, or a stretch of one, that is a sample.

    Arguments:
        path: of the file.
        label: its class.
        group: its speaker. None: the data set has no groups.
        start: the first sample of the stretch.
        stop: the one behind its last. None: the end of the file.
    """

    path: Path
    label: int
    group: int | None = None
    start: int = 0
    stop: int | None = None


def load_sound(
    root: Path,
    name: str,
    features: SoundFeatures,
    parts: Mapping[str, Sequence[Clip]],
    classes: Sequence[str],
    tables: Sequence[Path] = (),
) -> tuple[Samples, ...]:
    """Return the parts of a data set of sound, from the cache or converted.

    Raises DataError if a recording is missing or damaged.

    Arguments:
        root: ``paths.data``.
        name: of the data set.
        features: what becomes of each clip.
        parts: the clips of train and test, or of train, validation and test, in order.
        classes: the names of the classes.
        tables: files that say which clips are in which part, if there are any.
    """
    layout, convert = features.layout, partial(sound_sample, features)
    timesteps = features.timesteps if layout.timesteps_in_data else None
    files = sorted({*tables, *(clip.path for clips in parts.values() for clip in clips)})
    shaping = {"version": VERSION, **asdict(layout), "timesteps": timesteps}
    iterators = {
        part: partial(converted, clips, convert, files, f"{name}, {part} part") for part, clips in parts.items()
    }
    return load_cached(root, name, shaping, files, iterators, classes=classes)


def sound_sample(features: SoundFeatures, clip: Clip) -> Columns:
    """Return the columns of a clip's sample. Raises DataError if its file is damaged."""
    sound = read_wav(clip.path, features.rate)[clip.start : clip.stop]
    if not len(sound):
        raise DataError(f"{clip.path}: ends before {clip.start / features.rate:g} s, where a stretch of it begins")
    columns = features(sound)
    columns["y"] = np.array([clip.label])
    if clip.group is not None:
        columns["group"] = np.array([clip.group])
    return columns
