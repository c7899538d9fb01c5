"""EuroSAT: what covers the ground, from a satellite."""

from functools import partial
from pathlib import Path

import numpy as np

from membrane.data.image_file import PictureFiles, read_picture
from membrane.data.origins import ORIGINS
from membrane.data.samples import Samples
from membrane.data.store.cache import load_cached
from membrane.data.store.conversion import Columns, converted
from membrane.data.store.labelled import LabelledFile, files_by_class
from membrane.data.store.originals import ZippedFile, files_inside
from membrane.data.store.sources import damaged_file, file_or_folder
from membrane.errors import DataError

CLASSES = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
COUNT = 27_000


class EuroSAT(PictureFiles):
    """27,000 pictures of 64×64 pixels of Sentinel-2, x [n,3,64,64] uint8 with scale 1/255, 10 classes.

    There is no official test part: ``dataset.test_share`` of the pictures are one. Helber, Bischke, Dengel & Borth
    2019, IEEE JSTARS 12(7), arXiv:1709.00029.
    """

    def load(self, root: Path, timesteps: int) -> tuple[Samples, ...]:
        """Return (train,), in the order of classes and names. Raises DataError if files are missing or damaged."""
        original = file_or_folder(root, ORIGINS["eurosat"], "EuroSAT.zip")
        pictures = files_by_class(files_inside(original, ".jpg"), CLASSES)
        if len(pictures) != COUNT:
            raise damaged_file(original, f"{len(pictures)} pictures, {COUNT} expected")
        files = sorted({each.file.archive if isinstance(each.file, ZippedFile) else each.file for each in pictures})
        parts = {"train": partial(converted, pictures, picture_columns, files, "eurosat")}
        return load_cached(root, "eurosat", {"version": 1}, files, parts, scale=1 / 255, classes=CLASSES)


def picture_columns(picture: LabelledFile) -> Columns:
    """Return the columns of one picture. Raises DataError unless it has 64×64 pixels."""
    x = read_picture(picture.file)
    if x.shape != (3, 64, 64):
        raise DataError(f"{picture.file}: has {x.shape[2]}×{x.shape[1]} pixels, 64×64 expected")
    return {"x": x[None], "y": np.array([picture.label])}
