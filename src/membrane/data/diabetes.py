"""The diabetes data that come with scikit-learn, for regression: no download, seconds to train."""

from pathlib import Path

import numpy as np
import torch

from membrane.data.feed.splits import stratified
from membrane.data.samples import Samples

TEST_SIZE = 89
TEST_SEED = 20240229
UNITS = {
    "age": 100,  # years
    "sex": 2,  # 1 or 2
    "bmi": 50,  # kg/m²
    "bp": 150,  # mean arterial pressure, mmHg
    "s1": 350,  # total cholesterol, mg/dl
    "s2": 250,  # low-density lipoproteins, mg/dl
    "s3": 100,  # high-density lipoproteins, mg/dl
    "s4": 10,  # total cholesterol / high-density lipoproteins
    "s5": 7,  # logarithm of triglycerides, probably
    "s6": 150,  # blood sugar, mg/dl
}
"""Feature → the number that it is divided by. Round numbers, not statistics, which would contain the test set."""
TARGET_UNIT = 100


class Diabetes:
    """353 training and 89 test patients, x float32 [n,1,10], y float32 [n,1]: disease progression / 100.

    Efron, Hastie, Johnstone, Tibshirani (2004), "Least angle regression", Annals of Statistics 32(2), 407–499
    (``sklearn.datasets.load_diabetes``, unscaled): ten features of a patient, each divided by a fixed unit (``UNITS``)
    so that it lies about in [0, 1], and a measure of the disease's progression within a year (25 to 346). There is no
    official split: ours is drawn with a fixed seed (``TEST_SEED``) that no configuration changes, so that the test set
    is always the same 89 patients. Every patient is a recording, numbered by its position in scikit-learn's copy.
    """

    scale = 1.0

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """Return (train, test). Nothing is read from ``root``; static data do not depend on ``timesteps``."""
        x, y = load_patients()
        samples = Samples(x, y, torch.arange(len(y)), scale=self.scale)
        train, test = split_patients(len(y))
        return samples.take(train), samples.take(test)


def load_patients() -> tuple[torch.Tensor, torch.Tensor]:
    """Return all patients, in units: x float32 [442,1,10], y float32 [442,1], in scikit-learn's order."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    x = data.data / np.array([UNITS[name] for name in data.feature_names])
    y = data.target / TARGET_UNIT
    return torch.from_numpy(x[:, None].astype(np.float32)), torch.from_numpy(y[:, None].astype(np.float32))


def split_patients(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices of the 353 training and the 89 test patients, always the same: a draw without strata."""
    return stratified(torch.zeros(count, dtype=torch.int64), TEST_SIZE / count, TEST_SEED)
