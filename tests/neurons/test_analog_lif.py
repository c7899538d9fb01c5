"""LIAF against its equations, and against SpikingJelly's where that puts out real numbers."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor

from membrane.framework import MultiStepTID, SingleStepTID
from membrane.neurons import is_snn, make_neuron
from membrane.neurons.analog_lif import ACTIVATIONS, LIAF
from membrane.randomness import generator

N, T = 3, 10
BOTH = (SingleStepTID, MultiStepTID)
BY_HAND: dict[str, Callable[[float], float]] = {
    "relu": lambda u: max(0.0, u),
    "leaky_relu": lambda u: u if u > 0 else 0.2 * u,
    "selu": lambda u: 1.0507009873554805 * (u if u > 0 else 1.6732632423543772 * (math.exp(u) - 1)),
}


def data() -> Tensor:
    """x [N,T,C,S]."""
    return 1.5 * torch.randn(N, T, 2, 3, generator=generator(0, "data"), dtype=torch.float64) + 0.5


def trace(x: list[float], activation: str, related: bool, v_reset: float | None) -> list[float]:
    """y[t] of one neuron with τ = 2 and θ = 0.75: h = v + (x − (v − v_reset))/2, y = f(h) or f(h − θ)."""
    v, outputs = v_reset or 0.0, []
    for each in x:
        h = v + (each - (v - (v_reset or 0.0))) / 2
        outputs.append(BY_HAND[activation](h - 0.75 if related else h))
        v = h if h < 0.75 else (h - 0.75 if v_reset is None else v_reset)
    return outputs


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.25])
@pytest.mark.parametrize("related", [False, True])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_outputs_are_activations_of_the_potential(
    activation: str, related: bool, v_reset: float | None, strategy: Callable[[int], Any]
) -> None:
    settings = {"activation": activation, "threshold_related": related, "v_threshold": 0.75, "v_reset": v_reset}
    made, x = make_neuron(LIAF, surrogate.ATan, **settings), data()
    outputs = strategy(T)(made, x)
    assert len(outputs.unique()) > 20
    for n, c, s in torch.cartesian_prod(torch.arange(N), torch.arange(2), torch.arange(3)).tolist():
        expected = trace(x[n, :, c, s].tolist(), activation, related, v_reset)
        assert outputs[:, n, c, s].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("strategy", BOTH)
def test_outputs_and_gradients_are_spikingjellys_of_single_steps(strategy: Callable[[int], Any]) -> None:
    theirs = neuron.LIAFNode(torch.relu, False, surrogate_function=surrogate.ATan())
    found = []
    for made, run in ((theirs, SingleStepTID(T)), (make_neuron(LIAF, surrogate.ATan), strategy(T))):
        x = data().requires_grad_()
        outputs = run(made, x)
        outputs.square().sum().backward()
        found.append((outputs.detach(), x.grad))
    assert found[0][1].abs().min(dim=1).values.max() > 0  # through the reset the gradient reaches every timestep
    for ours, expected in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("strategy", BOTH)
def test_the_gradient_of_two_steps_worked_out_by_hand(strategy: Callable[[int], Any]) -> None:
    # τ = 2, θ = 1, hard reset to 0, f = ReLU of h, sigmoid with α = 1: x = (3, 1) → h1 = 1.5, s1 = 1, v1 = 0, h2 = 0.5.
    # y2 = h2 = v1/2 + x2/2; v1 = (1 − s1)·h1, so dv1/dx1 = −g(0.5)·h1·dh1/dx1 + (1 − s1)·dh1/dx1, dh1/dx1 = 1/2
    made = make_neuron(LIAF, partial(surrogate.Sigmoid, alpha=1.0))
    x = torch.tensor([3.0, 1.0], dtype=torch.float64).reshape(1, 2, 1, 1).requires_grad_()
    strategy(2)(made, x)[1].sum().backward()
    sigma = 1 / (1 + math.exp(-0.5))
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([0.5 * -sigma * (1 - sigma) * 1.5 * 0.5, 0.5])


def test_it_is_a_neuron_whose_input_is_worth_repeating() -> None:
    assert is_snn(make_neuron(LIAF, surrogate.ATan))
