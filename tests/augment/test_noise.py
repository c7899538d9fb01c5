"""Gaussian noise: one strength a sample, values anew in every frame."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from membrane.augment.noise import GaussianNoise
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError


def noise_on(shape: tuple[int, ...], std: float, step: int = 0) -> Tensor:
    """The noise that the pipeline adds to x = 0 of shape [N,T,…]."""
    n = shape[0]
    batch = Batch(torch.zeros(shape), torch.zeros(n, dtype=torch.long), None, torch.arange(n), torch.arange(n))
    return Pipeline({"noise": GaussianNoise(std=std)}, 2, True, seed=1).run(batch, "after", True, 0, step).x


def test_strength_is_shared_over_time_and_differs_between_samples() -> None:
    deviation = noise_on((20, 4, 2, 50, 50), std=0.5).flatten(2).double().std(2)  # [N,T] of 5000 values, 1 % error
    assert (deviation / deviation[:, :1] - 1).abs().max() < 0.06
    assert deviation.mean(1).std() > 0.08  # U(0, 0.5) has 0.144
    assert deviation.max() < 0.5 * 1.06


def test_strength_is_uniform_up_to_std() -> None:
    strength = GaussianNoise(std=0.5).draw(2000, torch.Generator().manual_seed(0))["strength"]
    assert stats.kstest(strength.numpy() / 0.5, "uniform").pvalue > 0.001


def test_values_are_new_in_every_frame_sample_and_step() -> None:
    first, second = noise_on((3, 4, 1, 50, 50), std=1), noise_on((3, 4, 1, 50, 50), std=1, step=1)
    correlation = np.corrcoef(torch.cat([first, second]).flatten(0, 1).flatten(1).numpy())
    assert np.abs(correlation - np.eye(24)).max() < 5 / 2500**0.5


def test_values_are_normal_with_the_strength_that_was_drawn() -> None:
    augmentation = GaussianNoise(std=2)
    x = 3 + torch.rand(4, 1, 3000, generator=torch.Generator().manual_seed(2))
    parameters = augmentation.draw(4, torch.Generator().manual_seed(5))
    noise = (augmentation.apply(x, parameters) - x).flatten(1)
    for values, strength in zip(noise, parameters["strength"], strict=True):
        assert stats.kstest((values / strength).numpy(), "norm").pvalue > 0.001


def test_no_noise_at_std_0() -> None:
    assert noise_on((2, 3, 1, 4, 4), std=0).count_nonzero() == 0


@pytest.mark.parametrize("std", [-0.1, float("inf"), float("nan")])
def test_bad_std_is_refused(std: float) -> None:
    with pytest.raises(ConfigError, match="GaussianNoise: std must be a finite number of at least 0"):
        GaussianNoise(std=std)
