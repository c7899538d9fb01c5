"""GTSRB: German traffic signs, from a car."""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from membrane.data.image_file import PictureFiles, read_picture
from membrane.data.origins import ORIGINS
from membrane.data.samples import Samples
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns, converted
from membrane.data.store.originals import OriginalFile, files_inside, table_lines
from membrane.data.store.sources import original_content
from membrane.errors import ConfigError, DataError

SIGNS, TESTED = 43, 12_630


class Sign(NamedTuple):
    """A picture of a sign, its class, and the number of the drive past it, which gave several pictures."""

    file: OriginalFile
    label: int
    track: int


class GTSRB(PictureFiles):
    """26,640 training and 12,630 test pictures of traffic signs, x [n,3,size,size] uint8 with scale 1/255, 43 classes.

    Pictures are scaled to ``size`` pixels a side, which is 32 unless said. Thirty pictures of one drive past a sign are
    one ``recording``, so that validation sees other signs than training. The training part is that of the competition
    (``GTSRB-Training_fixed.zip``), or, of 39,209 pictures, the one published after it. Houben, Stallkamp, Salmen,
    Schlipsing & Igel 2013, IJCNN. Raises ConfigError unless the size is 1 or more.
    """

    def __init__(self, *, size: int = 32) -> None:
        if size < 1:
            raise ConfigError(f"size must be 1 or more, not {size}")
        self.size = size

    def read(self, path: Path, shape: Sequence[int], timesteps: int) -> Columns:
        """Return x [1,3,size,size] of a picture. Raises DataError as `read_picture`."""
        return {"x": read_picture(path, self.size)[None]}

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train, test). Raises DataError if files are missing or damaged."""
        parts = {
            "train": training_signs(original_content(root, ORIGINS["gtsrb"], "GTSRB-Training_fixed.zip")),
            "test": test_signs(root),
        }
        files = sorted({Path(sign.file) for signs in parts.values() for sign in signs if isinstance(sign.file, Path)})
        convert = partial(sign_columns, size=self.size)
        conversions = {
            part: partial(converted, signs, convert, files, f"gtsrb, {part} part") for part, signs in parts.items()
        }
        return load_cached(root, "gtsrb", {"version": 1, "size": self.size}, files, conversions, scale=1 / 255)


def training_signs(folder: Path) -> list[Sign]:
    """Return the pictures of a folder, as 00042/TRACK_NUMBER.ppm. Raises DataError for any others."""
    signs = []
    for path, file in files_inside(folder, ".ppm").items():
        label, (track, _, number) = path.parent.name, path.stem.partition("_")
        if not (label.isdecimal() and int(label) < SIGNS and track.isdecimal() and number.isdecimal()):
            raise DataError(f"{file}: {path} is not CLASS/TRACK_NUMBER.ppm with a class from 0 to {SIGNS - 1}")
        signs.append(Sign(file, int(label), int(label) * 1_000_000 + int(track)))
    if not signs:
        raise DataError(f"{folder}: has no pictures")
    return signs


def test_signs(root: Path) -> list[Sign]:
    """Return the pictures that the table of the test part lists. Raises DataError if it is damaged."""
    archives = ("GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip")
    folder, table = (original_content(root, ORIGINS["gtsrb"], archive) for archive in archives)
    signs = []
    for number, row in enumerate(csv.DictReader(table_lines(table), delimiter=";", skipinitialspace=True)):
        name, label = row.get("Filename") or "", row.get("ClassId") or ""
        if not label.isdecimal() or int(label) >= SIGNS or not name or Path(name).name != name:
            raise DataError(f"{table}: line {number + 2} names no picture and class from 0 to {SIGNS - 1}")
        signs.append(Sign(folder / name, int(label), number))
    if len(signs) != TESTED:
        raise DataError(f"{table}: {len(signs)} pictures, {TESTED} expected")
    return signs


def sign_columns(sign: Sign, size: int) -> Columns:
    """Return the columns of one picture. Raises DataError if it cannot be read."""
    x = read_picture(sign.file, size)
    return {"x": x[None], "y": np.array([sign.label]), "recording": np.array([sign.track])}
