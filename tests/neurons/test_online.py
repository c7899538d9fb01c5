"""SLTT and OTTT, by neuron and by framework, against NumPy's gradients and against SpikingJelly's own way of OTTT."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError
from membrane.framework import OTTTTID, SLTTTID, MultiStepTID, SingleStepTID
from membrane.losses import TET
from membrane.neurons import make_neuron
from membrane.neurons.first_forward import complete_neurons
from membrane.neurons.online import OTTTLIF, SLTTLIF
from membrane.randomness import generator, scoped

N, T, K = 5, 6, 3
Array = np.ndarray


def data(*shape: int) -> Tensor:
    """x [N,T,…] in float64, strong enough to make neurons fire."""
    return 2 * torch.randn(N, T, *shape, generator=generator(0, "data"), dtype=torch.float64)


def batch(x: Tensor) -> Batch:
    """The samples with labels."""
    index = torch.arange(N)
    return Batch(x=x, y=index % K, lengths=None, recording=index, index=index)


def step_loss(outputs: Tensor, x: Tensor) -> Tensor:
    """The mean over timesteps of the cross-entropy of each."""
    return TET(lamb=0.0)(outputs, batch(x))


def perceptron(neuron_class: type[nn.Module], x: Tensor) -> nn.Sequential:
    """Two hidden layers, τ = 4, soft reset, for x [N,T,C,S]."""
    make = partial(make_neuron, neuron_class, partial(surrogate.Sigmoid, alpha=4.0))
    with scoped(0, "initialisation"):
        model = nn.Sequential(
            layer.Flatten(),
            nn.Linear(x.shape[2] * x.shape[3], 7),
            make(tau=4.0, decay_input=False, v_reset=None),
            nn.Linear(7, 6),
            make(tau=4.0, decay_input=False, v_reset=None),
            nn.Linear(6, K),
        ).double()
    complete_neurons(model, partial(SingleStepTID(T), model, x))
    return model


def by_hand(model: nn.Sequential, x: Array, y: Array, traces: bool) -> tuple[Array, list[Array]]:
    """Outputs [T,N,K] and the gradients of weights and biases in turn.

    h = λ·v + W·s + b, s = (h ≥ 1), v = h − s, λ = 3/4. With δ[t] the gradient of the loss of t by the outputs,
    e2 = W3ᵀδ ∘ g(h2 − 1) and e1 = W2ᵀe2 ∘ g(h1 − 1), g the surrogate. SLTT: ∇W = Σ_t e[t]·s[t]ᵀ of its input. OTTT:
    ∇W = Σ_t e[t]·â[t]ᵀ, â[t] = λ·â[t−1] + s[t], but for W1, whose input is data.
    """
    w1, b1, w2, b2, w3, b3 = (parameter.detach().numpy() for parameter in model.parameters())
    g = lambda u: 4 / (1 + np.exp(-4 * u)) * (1 - 1 / (1 + np.exp(-4 * u)))  # noqa: E731
    v1, v2, a1, a2 = np.zeros((N, 7)), np.zeros((N, 6)), np.zeros((N, 7)), np.zeros((N, 6))
    outputs, gradients = [], []
    for t in range(T):
        h1 = 0.75 * v1 + x[:, t] @ w1.T + b1
        s1 = (h1 >= 1).astype(float)
        h2 = 0.75 * v2 + s1 @ w2.T + b2
        s2 = (h2 >= 1).astype(float)
        v1, v2, a1, a2 = h1 - s1, h2 - s2, 0.75 * a1 + s1, 0.75 * a2 + s2
        o = s2 @ w3.T + b3
        outputs.append(o)
        e3 = (np.exp(o) / np.exp(o).sum(1, keepdims=True) - np.eye(K)[y]) / (N * T)
        e2 = e3 @ w3 * g(h2 - 1)
        e1 = e2 @ w2 * g(h1 - 1)
        before1, before2 = (a1, a2) if traces else (s1, s2)
        gradients.append((e1.T @ x[:, t], e1.sum(0), e2.T @ before1, e2.sum(0), e3.T @ before2, e3.sum(0)))
    return np.stack(outputs), [sum(each) for each in zip(*gradients, strict=True)]


@pytest.mark.parametrize(
    ("neuron_class", "framework"),
    [
        (SLTTLIF, SingleStepTID),
        (OTTTLIF, SingleStepTID),
        (neuron.LIFNode, SLTTTID),
        (neuron.LIFNode, OTTTTID),
        (OTTTLIF, SLTTTID),
        (SLTTLIF, OTTTTID),
    ],
)
def test_outputs_and_gradients_are_those_worked_out_by_hand(
    neuron_class: type[nn.Module], framework: Callable[[int], Any]
) -> None:
    x = data(2, 2)
    model, traces = perceptron(neuron_class, x), neuron_class is OTTTLIF or framework is OTTTTID
    expected, gradients = by_hand(model, x.flatten(2).numpy(), batch(x).y.numpy(), traces)
    for _ in range(2):  # the traces of a batch are gone in the next
        model.zero_grad()
        outputs = framework(T)(model, x)
        step_loss(outputs, x).backward()
        np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=1e-12)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            assert np.abs(gradient).max() > 1e-3
            np.testing.assert_allclose(parameter.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        np.testing.assert_allclose(framework(T)(model.eval(), x).numpy(), expected, rtol=1e-12)


def online_gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    """The gradients of SpikingJelly's model, each timestep with a loss and a backward pass of its own."""
    functional.reset_net(model)
    for t in range(T):
        (nn.functional.cross_entropy(model(x[:, t]), batch(x).y) / T).backward()
    return [parameter.grad for parameter in model.parameters()]


def convolutional(container: type[nn.Sequential], make: Callable[[], nn.Module]) -> nn.Sequential:
    """Convolutions, average pooling, a linear head; x [N,2,6,6]."""
    with scoped(0, "initialisation"):
        model = container(
            layer.Conv2d(2, 4, 3, padding=1),
            make(),
            layer.AvgPool2d(2),
            layer.Conv2d(4, 5, 3, padding=1),
            make(),
            layer.Flatten(),
            layer.Linear(45, K),
        ).double()
    nn.init.uniform_(model[3].weight, -1, 2, generator=generator(0, "initialisation"))  # so that both layers fire
    return model


@pytest.mark.parametrize("by_neuron", [True, False])
def test_one_backward_pass_is_ottt_as_spikingjelly_runs_it_online(by_neuron: bool) -> None:
    x = data(2, 6, 6)
    settings = {"surrogate_function": surrogate.ATan(), "tau": 1.5}
    theirs = convolutional(layer.OTTTSequential, partial(neuron.OTTTLIFNode, **settings))
    if by_neuron:
        ours, framework = convolutional(nn.Sequential, partial(OTTTLIF, **settings)), SingleStepTID(T)
        complete_neurons(ours, partial(framework, ours, x))
    else:
        lif = partial(neuron.LIFNode, decay_input=False, v_reset=None, **settings)
        ours, framework = convolutional(nn.Sequential, lif), OTTTTID(T)
    step_loss(framework(ours, x), x).backward()
    for parameter, expected in zip(ours.parameters(), online_gradients(theirs, x), strict=True):
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("neuron_class", [SLTTLIF, OTTTLIF])
def test_all_timesteps_at_once_are_refused(neuron_class: type[SLTTLIF]) -> None:
    with pytest.raises(ValueError, match=r"step_mode can only be \('s',\)"):
        MultiStepTID(T)(neuron_class(), data(2, 2))


@pytest.mark.parametrize(
    "neurons", [[], [neuron.ParametricLIFNode()], [OTTTLIF()], [neuron.LIFNode(tau=2.0), neuron.LIFNode(tau=3.0)]]
)
def test_a_framework_that_traces_needs_one_constant_leak(neurons: list[nn.Module]) -> None:
    model = nn.Sequential(nn.Flatten(), *neurons, nn.Linear(4, 3)).double()
    with pytest.raises(ConfigError, match="leak by the same constant: use neuron=lif or if"):
        OTTTTID(T)(model, data(2, 2))
