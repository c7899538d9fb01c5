"""Adaptive LIF neurons against their equations, step by step in NumPy, and their parameters within their ranges."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from configurations import configured
from numpy.typing import NDArray
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.models.recurrence import make_recurrent
from membrane.neurons.adaptive_lif import AdLIF, SEAdLIF
from membrane.neurons.surrogates import Boxcar
from membrane.randomness import generator
from membrane.training.assembly import build_learner
from membrane.training.optimizers import build_optimizer

N, T, C = 4, 40, 3
BOTH = (SingleStepTID, MultiStepTID)
Array = NDArray[np.float64]


def data() -> Tensor:
    """x [N,T,C,5], strong enough that every channel fires."""
    return 4 * torch.rand(N, T, C, 5, generator=generator(0, "data"), dtype=torch.float64)


def constants(neuron: nn.Module) -> list[Array]:
    """α, β, a and b [C,1]."""
    return [getattr(neuron, name).detach().numpy()[:, None] for name in ("alpha", "beta", "a", "b")]


def drawn(kind: Callable[..., Any], **settings: Any) -> Any:
    """A neuron that has seen its first input."""
    neuron = kind(surrogate_function=Boxcar(), **settings).double()
    neuron(data()[:, 0])
    neuron.reset()
    return neuron


@pytest.mark.parametrize("strategy", BOTH)
def test_adlif_is_its_equations(strategy: Callable[[int], Any]) -> None:
    neuron, x = drawn(AdLIF, v_threshold=0.5), data()
    alpha, beta, a, b = constants(neuron)
    outputs = strategy(T)(neuron, x).detach().numpy()
    u = w = s = np.zeros((N, C, 5))
    for t in range(T):
        w = beta * w + a * u + b * s
        u = alpha * (u - 0.5 * s) + (1 - alpha) * (x[:, t].numpy() - w)
        s = (u >= 0.5).astype(float)
        assert np.array_equal(outputs[t], s)
    assert 0.01 < outputs.mean() < 0.99


@pytest.mark.parametrize("strategy", BOTH)
def test_se_adlif_is_its_equations(strategy: Callable[[int], Any]) -> None:
    neuron, x = drawn(SEAdLIF, v_threshold=0.5, q=3.0), data()
    alpha, beta, a, b = constants(neuron)
    outputs = strategy(T)(neuron, x).detach().numpy()
    u = w = np.zeros((N, C, 5))
    for t in range(T):
        h = alpha * u + (1 - alpha) * (x[:, t].numpy() - w)
        s = (h >= 0.5).astype(float)
        u = h * (1 - s)
        w = beta * w + (1 - beta) * 3.0 * (a * u + b * s)
        assert np.array_equal(outputs[t], s)
    assert 0.01 < outputs.mean() < 0.99


@pytest.mark.parametrize("kind", [AdLIF, SEAdLIF])
def test_parameters_are_drawn_within_their_ranges_and_held_there(kind: Callable[..., Any]) -> None:
    neuron = kind()
    neuron(torch.zeros(1, 2000, 1))
    low, high = ((5, 30), (25, 120)) if kind is AdLIF else ((5, 60), (25, 300))
    ranges = {
        "alpha": (math.exp(-1 / low[0]), math.exp(-1 / high[0])),
        "beta": (math.exp(-1 / low[1]), math.exp(-1 / high[1])),
        "a": (-1, 1) if kind is AdLIF else (0, 1),
        "b": (0, 2),
    }
    for name, (least, most) in ranges.items():
        values = getattr(neuron, name)
        assert values.shape == (2000,)
        assert least <= values.min()
        assert values.max() <= most
        assert abs(values.mean() - (least + most) / 2) < 0.03 * (most - least)
        assert abs(values.std() - (most - least) / 12**0.5) < 0.03 * (most - least)
        values.data.fill_(most + 1)
    held = neuron.held(torch.zeros(1, 2000, 1))
    assert [each.max().item() for each in held] == pytest.approx([most for _, most in ranges.values()])


def test_parameters_of_se_adlif_return_from_the_ends_of_their_ranges() -> None:
    config = configured("model=smlp", "neuron=se_adlif", "optimizer=sgd", "optimizer.momentum=0", "optimizer.lr=9")
    learner = build_learner(config)
    optimizer, neuron = build_optimizer(config, learner), learner.model.neuron1
    for direction, end in ((-1.0, 1), (1.0, 0)):
        for parameter in learner.parameters():
            parameter.grad = torch.full_like(parameter, direction)
        optimizer.step()
        for name, bounds in neuron.ranges.items():
            assert torch.allclose(getattr(neuron, name), torch.tensor(bounds[end], dtype=torch.float32)), name


def test_what_is_drawn_depends_on_the_time_of_building_alone() -> None:
    found = []
    for disturbed in (False, True):
        torch.manual_seed(0)
        neuron = AdLIF()
        if disturbed:
            torch.rand(7)
        neuron(torch.zeros(2, C, 1))
        found.append(neuron.alpha.detach())
    assert torch.equal(*found)


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("size", [(5,), (2, 2)])
def test_radlif_is_its_equations(strategy: Callable[[int], Any], size: tuple[int, ...]) -> None:
    neuron = drawn(AdLIF, v_threshold=0.5)
    model = make_recurrent("lateral", neuron, len(size), C).double()
    x = 4 * torch.rand(N, T, C, *size, generator=generator(0, "data"), dtype=torch.float64)
    outputs = strategy(T)(model, x).detach().numpy()
    alpha, beta, a, b = (each.reshape(C, *[1] * len(size)) for each in constants(neuron))
    [weight] = [each for each in model.parameters() if each.shape == (C, C)]
    assert torch.allclose(weight @ weight.T, torch.eye(C, dtype=torch.float64), atol=1e-6)
    between = weight.detach().numpy() * (1 - np.eye(C))
    u = w = s = np.zeros((N, C, *size))
    for t in range(T):
        w = beta * w + a * u + b * s
        current = x[:, t].numpy() + np.einsum("fg,ng...->nf...", between, s) - w
        u = alpha * (u - 0.5 * s) + (1 - alpha) * current
        s = (u >= 0.5).astype(float)
        assert np.array_equal(outputs[t], s)


@pytest.mark.parametrize("kind", [AdLIF, SEAdLIF])
def test_a_range_that_is_none_is_refused(kind: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"tau_w must be a range \[smallest, largest\] above 0, got \[3.0, 2.0\]"):
        kind(tau_w=(3.0, 2.0))
