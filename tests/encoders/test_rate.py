"""Rate coding: how often values spike, against binomial bounds and a computation by hand."""

import math

import pytest
import torch

from membrane.encoders.encoder import Encoder
from membrane.encoders.encoding import Encoding
from membrane.encoders.rate import Rate
from membrane.errors import ConfigError

X = torch.tensor([0.0, 0.05, 0.25, 0.5, 0.9, 1.0])


def spikes(encoder: Encoder, x: torch.Tensor, epoch: int = 0) -> torch.Tensor:
    """The spikes [N,T,…] of x [N,…] in training."""
    return Encoding(encoder, seed=0).run(x, torch.arange(len(x)), True, epoch, 0)


def test_a_value_spikes_where_its_uniform_number_lies_below_it() -> None:
    uniform = torch.tensor([[0.3, 0.0, 0.9], [0.2, 0.1, 0.1]])  # [T,S] of one sample of one channel
    x = torch.tensor([[[0.25, 0.0, 0.9]]])
    encoded = Rate(timesteps=2).encode(x, {"uniform": uniform.reshape(1, 2, 1, 3)})
    assert encoded.tolist() == [[[[0, 0, 0]], [[1, 0, 1]]]]


def test_rates_converge_to_the_values() -> None:
    timesteps, samples = 50, 200
    encoded = spikes(Rate(timesteps=timesteps), X.expand(samples, 1, -1))
    assert encoded.shape == (samples, timesteps, 1, len(X))
    assert set(encoded.unique().tolist()) == {0.0, 1.0}
    count = timesteps * samples
    for p, rate in zip(X.tolist(), encoded.mean((0, 1, 2)).tolist(), strict=True):
        assert abs(rate - p) <= 4.5 * math.sqrt(p * (1 - p) / count) + 1e-7
    # and so do those over samples at each timestep, and over timesteps of each sample: 50 and 200 bounds of 5 sigma
    for axes, trials in ((0, samples), (1, timesteps)):
        deviation = (encoded.mean(axes) - X).abs()
        assert (deviation <= 5 * (X * (1 - X) / trials).sqrt() + 1e-6).all()


def test_timesteps_and_samples_are_independent() -> None:
    encoded = spikes(Rate(timesteps=40), torch.full((300, 1, 4), 0.5))
    pairs = {
        "one timestep and the next": encoded[:, 1:] * encoded[:, :-1],
        "one sample and the next": encoded[1:] * encoded[:-1],
        "one position and the next": encoded[..., 1:] * encoded[..., :-1],
    }
    for between, both in pairs.items():  # a quarter of them; variance 3/16, and 1/16 with each of two pairs beside it
        assert abs(both.mean().item() - 0.25) < 4.5 * math.sqrt(5 / 16 / both.numel()), between


def test_bounds_are_what_spikes_never_and_always() -> None:
    x = torch.tensor([-7.0, -2.0, -1.0, 1.0, 2.0, 9.0]).expand(500, 1, -1)
    rates = spikes(Rate(timesteps=20, bounds=(-2.0, 2.0)), x).mean((0, 1, 2))
    expected = torch.tensor([0.0, 0.0, 0.25, 0.75, 1.0, 1.0])
    assert (rates[[0, 1, 4, 5]] == expected[[0, 1, 4, 5]]).all()
    assert (rates - expected).abs().max() < 4.5 * math.sqrt(0.25 * 0.75 / 10_000)


@pytest.mark.parametrize("bounds", [(0, math.inf), (-math.inf, 1), (math.nan, 1), (1, 1), (2, 1), (0, 1, 2)])
def test_bounds_between_which_nothing_can_be_scaled_are_refused(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"bounds must be .* finite, the lower one first"):
        Rate(timesteps=4, bounds=bounds)
