"""Regression data that come with scikit-learn: no download, seconds to train."""

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
"""Of each feature, by which it is divided: round numbers, no statistics, so that nothing of the test set is in them."""
TARGET_UNIT = 100


class Diabetes:
    """353 training and 89 test patients, x float32 [n,1,10], y float32 [n,1]: disease progression / 100.

    Efron, Hastie, Johnstone, Tibshirani (2004), "Least angle regression", Annals of Statistics 32(2), 407–499
    (``sklearn.datasets.load_diabetes``, unscaled): ten features of a patient, each divided by a fixed unit (``UNITS``)
    so that it lies about in [0, 1], and a measure of how far the disease had progressed a year later (25 to 346). It
    has no official split: ours is a draw from a fixed seed (``TEST_SEED``) that no configuration reaches, so the test
    set is the same 89 patients for ever. Every patient is a recording of its own, numbered by its place in
    scikit-learn's copy.
    """

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        """(train, test); nothing is read from ``root``, and static data do not depend on ``timesteps``."""
        x, y = bundled()
        samples = Samples(x, y, torch.arange(len(y)))
        train, test = parts(len(y))
        return samples.take(train), samples.take(test)


def bundled() -> tuple[torch.Tensor, torch.Tensor]:
    """All patients in their units: x float32 [442,1,10], y float32 [442,1], in scikit-learn's order."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    x = data.data / np.array([UNITS[name] for name in data.feature_names])
    y = data.target / TARGET_UNIT
    return torch.from_numpy(x[:, None].astype(np.float32)), torch.from_numpy(y[:, None].astype(np.float32))


def parts(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the 353 training and of the 89 test patients, for ever the same: one stratum, a plain draw."""
    return stratified(torch.zeros(count, dtype=torch.int64), TEST_SIZE / count, TEST_SEED)
