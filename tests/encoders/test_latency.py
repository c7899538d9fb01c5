"""Latency coding: times of spikes by hand, from the formula, and those of SpikingJelly's encoder."""

import math

import pytest
import torch
from spikingjelly.activation_based import encoding

from membrane.encoders.latency import Latency
from membrane.errors import ConfigError

GREYS = torch.arange(256.0)[None, None] / 255


def spike_times(timesteps: int, x: torch.Tensor, function: str = "linear") -> torch.Tensor:
    """The time [N,C,S] of each value's spike, of which there is one."""
    encoded = Latency(timesteps=timesteps, function=function).encode(x, {})
    assert encoded.shape == (len(x), timesteps, *x.shape[1:])
    assert (encoded.sum(1) == 1).all()
    return encoded.argmax(1)


def test_times_by_hand() -> None:
    x = torch.tensor([[[1.0, 0.9, 0.7, 0.5, 0.2, 0.0]]])
    # (6 − 1)·(1 − x) = 0, 0.5, 1.5, 2.5, 4, 5; halves go to the even number, as everywhere in torch
    assert spike_times(6, x[..., [0, 3, 4, 5]]).flatten().tolist() == [0, 2, 4, 5]
    # 2 − ln(αx + 1) with α = e² − 1 = 6.389: 0, 0.091, 0.301, 0.567, 1.177, 2
    assert spike_times(3, x, "log").flatten().tolist() == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("function", ["linear", "log"])
@pytest.mark.parametrize("timesteps", [2, 4, 7, 10, 32])
def test_spikes_are_those_of_spikingjelly(timesteps: int, function: str) -> None:
    theirs = encoding.LatencyEncoder(timesteps, function, step_mode="s").single_step_encode(GREYS)  # [T,N,C,S]
    ours = Latency(timesteps=timesteps, function=function).encode(GREYS, {})
    assert torch.equal(ours, theirs.transpose(0, 1))


def test_the_logarithm_is_exact_where_its_power_is_beyond_float32() -> None:
    timesteps = 200
    alpha = math.exp(timesteps - 1) - 1  # a double
    expected = [timesteps - 1 - math.log(alpha * x + 1) for x in GREYS.double().flatten().tolist()]
    found = Latency(timesteps=timesteps, function="log").spike_time(GREYS).flatten()
    assert found.tolist() == pytest.approx(expected, abs=2e-4)
    assert spike_times(timesteps, GREYS, "log").flatten()[[0, -1]].tolist() == [timesteps - 1, 0]


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^encoder Latency: function must be linear or log, got square$"):
        Latency(timesteps=4, function="square")
