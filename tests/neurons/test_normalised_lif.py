"""MPBN against its equations in NumPy and against SpikingJelly's, its folded thresholds against its norm."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.neurons import make_neuron
from membrane.neurons.first_forward import complete_neurons, needs_first_forward
from membrane.neurons.normalised_lif import MPBNLIF
from membrane.randomness import generator

N, T, C = 6, 5, 3
BOTH = (SingleStepTID, MultiStepTID)
SHAPES = [(C,), (C, 4), (C, 4, 2)]


def data(*shape: int) -> Tensor:
    """x [N,T,C,…], whose channels differ in mean and size."""
    x = torch.randn(N, T, *shape, generator=generator(0, "data"), dtype=torch.float64)
    channels = torch.arange(1, C + 1).double().reshape(-1, *[1] * (len(shape) - 1))
    return channels * x + channels


def run(strategy: Callable[[int], Any], model: nn.Module, x: Tensor) -> Tensor:
    """The outputs [T,N,…] for x [N,T,…]; features alone, [N,T,C], pass as a signal that is flattened."""
    if x.dim() > 3:
        return strategy(x.shape[1])(model, x)
    return strategy(x.shape[1])(nn.Sequential(layer.Flatten(), model), x.unsqueeze(-1))


def made(shape: tuple[int, ...], **settings: Any) -> Any:
    """The neuron, with a norm that is not the identity."""
    neuron_of = make_neuron(MPBNLIF, surrogate.ATan, **settings).double()
    complete_neurons(neuron_of, partial(run, SingleStepTID, neuron_of.eval(), data(*shape)))
    with torch.no_grad():
        neuron_of.norm.weight.copy_(torch.tensor([1.5, 0.5, -0.75]))
        neuron_of.norm.bias.copy_(torch.tensor([0.5, -0.25, 1.0]))
        neuron_of.norm.running_mean.copy_(torch.tensor([0.2, 1.0, 2.0]))
        neuron_of.norm.running_var.copy_(torch.tensor([0.5, 2.0, 3.0]))
    return neuron_of.train()


def by_hand(
    x: np.ndarray, training: bool, v_reset: float | None, carry_normalised: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spikes [T,N,C] of x [N,T,C], and the norm's running mean and variance [C] after them.

    h = v − (v − v_reset)/τ + x with τ = 4; s = Θ(BN(h) − 0.8), BN over N; what resets is h or BN(h).
    """
    weight, bias = np.array([1.5, 0.5, -0.75]), np.array([0.5, -0.25, 1.0])
    mean, variance = np.array([0.2, 1.0, 2.0]), np.array([0.5, 2.0, 3.0])
    rest = v_reset or 0.0
    v, spikes = np.full(x[:, 0].shape, rest), []
    for t in range(T):
        h = v - (v - rest) / 4 + x[:, t]
        m, s2 = (h.mean(0), h.var(0)) if training else (mean, variance)
        normed = (h - m) / np.sqrt(s2 + 1e-5) * weight + bias
        if training:
            mean, variance = 0.9 * mean + 0.1 * m, 0.9 * variance + 0.1 * h.var(0, ddof=1)
        spike = (normed >= 0.8).astype(float)
        carried = normed if carry_normalised else h
        v = carried - 0.8 * spike if v_reset is None else np.where(spike > 0, v_reset, carried)
        spikes.append(spike)
    return np.stack(spikes), mean, variance


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.5])
@pytest.mark.parametrize("carry", [False, True])
def test_spikes_and_running_statistics_are_those_of_the_equations(
    carry: bool, v_reset: float | None, training: bool, strategy: Callable[[int], Any]
) -> None:
    x = data(C)
    model = made((C,), tau=4.0, v_threshold=0.8, v_reset=v_reset, carry_normalised=carry).train(training)
    outputs = run(strategy, model, x)
    expected, mean, variance = by_hand(x.numpy(), training, v_reset, carry)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(outputs.detach().numpy(), expected)
    np.testing.assert_allclose(model.norm.running_mean.numpy(), mean)
    np.testing.assert_allclose(model.norm.running_var.numpy(), variance)


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]])
def test_carrying_the_normalised_potential_is_spikingjellys(
    shape: tuple[int, ...], training: bool, strategy: Callable[[int], Any]
) -> None:
    size = {"out_features": C} if len(shape) == 1 else {"out_channels": C}
    theirs = neuron.MPBNLIFNode(surrogate_function=surrogate.ATan(), **size).double()
    ours = made(shape, carry_normalised=True).train(training)
    theirs.vbn.load_state_dict(ours.norm.state_dict())
    found = []
    for each, norm, way in ((theirs, theirs.vbn, SingleStepTID), (ours, ours.norm, strategy)):
        x = data(*shape).requires_grad_()
        outputs = run(way, each.train(training), x)
        outputs.square().mul(torch.arange(1, T + 1).reshape(-1, *[1] * (x.dim() - 1))).sum().backward()
        found.append([outputs.detach(), x.grad, norm.weight.grad, norm.bias.grad, norm.running_var])
    for theirs_value, ours_value in zip(*found, strict=True):
        assert theirs_value.std() > 0
        torch.testing.assert_close(ours_value, theirs_value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("v_reset", [None, 0.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_folded_thresholds_give_the_same_spikes(
    shape: tuple[int, ...], v_reset: float | None, strategy: Callable[[int], Any]
) -> None:
    x = data(*shape)
    plain, folded = (made(shape, v_reset=v_reset, fold=fold).eval() for fold in (False, True))
    with torch.no_grad():
        expected = run(strategy, plain, x)
        assert 0.1 < expected.mean() < 0.9
        assert torch.equal(run(strategy, folded, x), expected)
        # a potential of a channel at its threshold, (θ − β)·σ/γ + μ, fires there and not below; above where γ < 0
        sigma = torch.tensor([0.5, 2.0, 3.0]).add(1e-5).sqrt().double()
        threshold = torch.tensor([0.5, 1.25, 0.0]) * sigma / torch.tensor([1.5, 0.5, -0.75]) + torch.tensor([0.2, 1, 2])
        edge = threshold.reshape(1, 1, C, *[1] * (len(shape) - 1)).expand(N, 1, *shape)
        fired = [run(strategy, folded, edge + step).movedim(2, 0).flatten(1).mean(1) for step in (-1e-6, 1e-6)]
    assert torch.stack(fired).tolist() == [[0, 0, 1], [1, 1, 0]]


def test_a_norm_has_its_channels_before_an_optimiser_sees_it() -> None:
    model = nn.Sequential(nn.Linear(4, C), make_neuron(MPBNLIF, surrogate.ATan)).eval()
    assert needs_first_forward(model)
    complete_neurons(model, partial(model, torch.rand(N, 4)))
    assert not needs_first_forward(model)
    assert [tuple(each.shape) for each in model[1].parameters()] == [(C,), (C,)]


def test_what_is_carried_on_cannot_be_folded() -> None:
    with pytest.raises(ConfigError, match="fold needs carry_normalised=false"):
        make_neuron(MPBNLIF, surrogate.ATan, fold=True, carry_normalised=True)
