"""Gaussian and exponential noise: one strength a sample, values anew in every frame."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from membrane.augment.augmentation import Augmentation
from membrane.augment.noise import ExponentialNoise, GaussianNoise
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError


def noise_on(noise: Augmentation, shape: tuple[int, ...], step: int = 0, scale: float = 1.0) -> Tensor:
    """The noise that the pipeline adds to x = 0 of shape [N,T,…]."""
    n = shape[0]
    batch = Batch(torch.zeros(shape), torch.zeros(n, dtype=torch.long), None, torch.arange(n), torch.arange(n))
    pipeline = Pipeline({"noise": noise}, 2, True, seed=1)
    pipeline.fit([batch.x], scale)
    return pipeline.run(batch, "after", True, 0, step).x


def test_strength_is_shared_over_time_and_differs_between_samples() -> None:
    noise = noise_on(GaussianNoise(std=0.5), (20, 4, 2, 50, 50))
    deviation = noise.flatten(2).double().std(2)  # [N,T] of 5000 values, 1 % error
    assert (deviation / deviation[:, :1] - 1).abs().max() < 0.06
    assert deviation.mean(1).std() > 0.08  # U(0, 0.5) has 0.144
    assert deviation.max() < 0.5 * 1.06


def test_strength_is_uniform_up_to_std() -> None:
    strength = GaussianNoise(std=0.5).draw(2000, torch.Generator().manual_seed(0))["strength"]
    assert stats.kstest(strength.numpy() / 0.5, "uniform").pvalue > 0.001


def test_values_are_new_in_every_frame_sample_and_step() -> None:
    first, second = (noise_on(GaussianNoise(std=1), (3, 4, 1, 50, 50), step) for step in (0, 1))
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
    assert noise_on(GaussianNoise(std=0), (2, 3, 1, 4, 4)).count_nonzero() == 0


@pytest.mark.parametrize("std", [-0.1, float("inf"), float("nan")])
def test_bad_std_is_refused(std: float) -> None:
    with pytest.raises(ConfigError, match="GaussianNoise: std must be a finite number of at least 0"):
        GaussianNoise(std=std)


def test_fixed_noise_has_the_same_strength_in_every_sample() -> None:
    deviation = noise_on(GaussianNoise(std=0.5, fixed=True), (20, 4, 2, 50, 50)).flatten(2).double().std(2)
    assert (deviation / 0.5 - 1).abs().max() < 0.05  # of 5000 values, 1 % error


def test_exponential_noise_has_its_rate_in_every_frame() -> None:
    noise = noise_on(ExponentialNoise(rate=4), (3, 4, 1, 40, 40)).flatten(0, 1).flatten(1)
    for frame in noise:
        assert stats.kstest(frame.numpy(), stats.expon(scale=1 / 4).cdf).pvalue > 0.001
    correlation = np.corrcoef(noise.numpy())
    assert np.abs(correlation - np.eye(12)).max() < 5 / 1600**0.5


@pytest.mark.parametrize("noise", [GaussianNoise(std=3, rounding=True), ExponentialNoise(rate=0.5, rounding=True)])
def test_rounded_noise_keeps_counts_whole_in_units_of_the_stored_data(noise: Augmentation) -> None:
    values = noise_on(noise, (4, 3, 1, 20, 20), scale=1 / 16)
    counts = values * 16
    assert torch.equal(counts, counts.round())
    assert len(counts.unique()) > 20


def test_rounded_exponential_noise_is_a_geometric_distribution() -> None:
    counts = noise_on(ExponentialNoise(rate=1, rounding=True), (4, 1, 1, 100, 100)).flatten().long().bincount().numpy()
    # P(k) = P(k − ½ ≤ ε < k + ½)
    edges = np.maximum(np.arange(len(counts) + 1) - 0.5, 0)
    expected = np.diff(stats.expon.cdf(edges)) * 40_000
    large = expected > 20
    assert stats.chisquare(counts[large], expected[large], sum_check=False).pvalue > 0.001


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_bad_rate_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="ExponentialNoise: rate must be a finite number above 0"):
        ExponentialNoise(rate=rate)
