"""Leaky against snnTorch's, outputs and gradients, and against a trace by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import surrogate
from torch import Tensor

from membrane.framework import MultiStepTID, SingleStepTID
from membrane.models.smlp import SMLP
from membrane.neurons import make_neuron
from membrane.neurons.leaky import Leaky
from membrane.neurons.surrogates import FastSigmoid
from membrane.randomness import generator

N, T = 4, 12
BOTH = (SingleStepTID, MultiStepTID)


def data() -> Tensor:
    """x [N,T,C,S]."""
    return torch.rand(N, T, 2, 3, generator=generator(0, "data"), dtype=torch.float64)


@pytest.mark.parametrize("strategy", BOTH)
def test_a_trace_by_hand(strategy: Callable[[int], Any]) -> None:
    # β = ½, θ = 1, x = 0.75: v = 0.75; 1.125 fires; 0.5625 + 0.75 − 1 = 0.3125; 0.90625; 1.203125 fires; 0.3515625
    potentials, x = Leaky(beta=0.5, analog=True), torch.full((1, 6, 1, 1), 0.75)
    assert strategy(6)(potentials, x).flatten().tolist() == [0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.3515625]
    assert strategy(6)(Leaky(beta=0.5), x).flatten().tolist() == [0, 1, 0, 0, 1, 0]


def test_the_defaults_are_a_decay_of_a_tenth_and_a_threshold_of_one() -> None:
    # 0.5; 0.45 + 0.5 = 0.95; 0.855 + 0.5 = 1.355 fires; 1.2195 + 0.5 − 1 = 0.7195
    x = torch.full((1, 4, 1, 1), 0.5, dtype=torch.float64)
    assert MultiStepTID(4)(Leaky(analog=True), x).flatten().tolist() == pytest.approx([0.5, 0.95, 1.355, 0.7195])
    assert MultiStepTID(4)(Leaky(), x).flatten().tolist() == [0, 0, 1, 0]


def test_a_potential_on_the_threshold_fires() -> None:
    assert MultiStepTID(1)(Leaky(), torch.ones(1, 1, 1, 1)).item() == 1


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize("analog", [False, True])
# β and θ that float32 holds exactly: snnTorch keeps them so
@pytest.mark.parametrize(("beta", "threshold"), [(0.875, 1.0), (0.5, 0.75)])
def test_outputs_and_gradients_are_snntorchs(
    beta: float, threshold: float, analog: bool, strategy: Callable[[int], Any]
) -> None:
    snntorch = pytest.importorskip("snntorch", reason="snnTorch is not installed: the extra bench has it")
    theirs = snntorch.Leaky(beta, threshold, spike_grad=snntorch.surrogate.fast_sigmoid(slope=25))
    ours, x = Leaky(beta, threshold, FastSigmoid(25.0), analog), data().requires_grad_()
    outputs = strategy(T)(ours, x)
    y, mem, recorded = data().requires_grad_(), None, []
    for t in range(T):
        spike, mem = theirs(y[:, t], mem)
        recorded.append(mem if analog else spike)
    expected = torch.stack(recorded)
    assert torch.equal(outputs, expected)
    assert 0 < (outputs if not analog else outputs >= threshold).double().mean() < 1
    weights = torch.rand(expected.shape, generator=generator(0, "weights"), dtype=torch.float64)
    (outputs * weights).sum().backward()
    (expected * weights).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert torch.allclose(x.grad, y.grad, rtol=1e-6, atol=1e-7)  # snnTorch's spikes are float32


def test_the_default_surrogate_is_snntorchs() -> None:
    made = Leaky().surrogate_function
    assert (type(made), made.alpha) == (surrogate.ATan, 2.0)


def test_a_head_puts_out_potentials_and_the_hidden_neurons_spikes() -> None:
    model = SMLP(
        input_shape=(2, 3),
        classes=3,
        timesteps=T,
        neuron=lambda: make_neuron(Leaky, surrogate.ATan, beta=0.5),
        units=[16],
        head_neuron=True,
        head_potential=True,
    ).double()
    hidden: list[Tensor] = []
    model.neuron1.register_forward_hook(lambda *call: hidden.append(call[2]))
    outputs = MultiStepTID(T)(model, 4 * data())
    assert set(hidden[0].unique().tolist()) == {0.0, 1.0}
    currents = model.head(hidden[0])
    assert torch.allclose(
        outputs, MultiStepTID(T)(Leaky(0.5, analog=True), currents.transpose(0, 1).unsqueeze(2))[:, :, 0]
    )
