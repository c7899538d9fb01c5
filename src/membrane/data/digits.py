"""Handwritten digits that come with scikit-learn: no download, seconds to train."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from membrane.data.feed.splits import stratified
from membrane.data.image_file import PictureFiles
from membrane.data.samples import Samples
from membrane.errors import DataError

TEST_SIZE = 360
TEST_SEED = 20240229


class Digits(PictureFiles):
    """1437 training and 360 test images [n,1,8,8], uint8 0…16 with scale 1/16, 10 classes.

    The bundled copy of the UCI Optical Recognition of Handwritten Digits test set (Alpaydin & Kaynak, 1998;
    ``sklearn.datasets.load_digits``). There is no official split: ours is drawn, stratified, with a fixed seed
    (``TEST_SEED``) that no configuration changes, so that the test set is always the same 360 images. Each part keeps
    scikit-learn's order. Every image is a recording, numbered by its position in scikit-learn's copy.
    """

    scale = 1 / 16

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test). Nothing is read from ``root``; static images do not depend on ``timesteps``."""
        images, labels = load_images()
        samples = Samples(torch.from_numpy(images[:, None]), labels, torch.arange(len(labels)), scale=self.scale)
        train, test = split_images(labels)
        return samples.take(train), samples.take(test)


def load_images() -> tuple[np.ndarray, torch.Tensor]:
    """Return all images, uint8 [1797,8,8] from 0 to 16, and their labels, int64 [1797], in scikit-learn's order.

    The file is read without scikit-learn, whose imports take a tenth of the time until the first step. Raises DataError
    if it is missing.
    """
    library = find_spec("sklearn")
    if library is None or library.origin is None:
        raise DataError("digits come with scikit-learn, which is not installed")
    file = Path(library.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        raise DataError(f"digits come with scikit-learn, here without {file}")
    rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
    return rows[:, :-1].reshape(-1, 8, 8).astype(np.uint8), torch.from_numpy(rows[:, -1].copy())


def split_images(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split labels [1797] into indices of the 1437 training and the 360 test images, always the same."""
    return stratified(labels, TEST_SIZE / len(labels), TEST_SEED)
