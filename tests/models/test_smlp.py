"""The SMLP: its tree, its size, and any number of hidden layers."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron, surrogate
from torch import nn

from membrane.errors import ConfigError
from membrane.framework import MultiStep, SingleStep
from membrane.models.smlp import SMLP
from membrane.neurons import make_neuron

FIRE = partial(make_neuron, neuron.ParametricLIFNode, surrogate.ATan)


def smlp(**changes: Any) -> SMLP:
    return SMLP(**{"input_shape": (2, 10), "classes": 3, "timesteps": 4, "neuron": FIRE, **changes})


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_tree() -> None:
    assert [name for name, _ in smlp(units=[8, 7]).named_children()] == [
        "flatten",
        "fc1",
        "neuron1",
        "fc2",
        "neuron2",
        "head",
    ]


def test_a_neuron_behind_the_head_makes_the_outputs_spikes() -> None:
    model, x = smlp(units=[8], head_neuron=True), torch.randn(6, 2, 10)
    model.head.bias.data.copy_(torch.tensor([3.0, 1.2, -3.0]))  # LIF with τ = 2 at a constant 3, 1.2, −3
    assert [name for name, _ in model.named_children()][-2:] == ["head", "head_neuron"]
    outputs = MultiStep(4)(model, 0 * x - 9)
    assert set(outputs.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # linear: in · out weights + out biases; PLIF: 1 parameter a layer
        ({"units": []}, 20 * 3 + 3),
        ({"units": [8]}, (20 * 8 + 8) + 1 + (8 * 3 + 3)),
        ({"units": [8, 7]}, (20 * 8 + 8) + 1 + (8 * 7 + 7) + 1 + (7 * 3 + 3)),
        ({"input_shape": (3, 5, 4), "units": [8, 7, 6]}, (60 * 8 + 8) + (8 * 7 + 7) + (7 * 6 + 6) + (6 * 3 + 3) + 3),
        ({}, (20 * 128 + 128) + 1 + (128 * 3 + 3)),
        ({"units": [8], "head_neuron": True}, (20 * 8 + 8) + 1 + (8 * 3 + 3) + 1),
        ({"units": [8], "head_neuron": True, "votes": 4}, (20 * 8 + 8) + 1 + (8 * 12 + 12) + 1),
        ({"units": [8], "max_delay": 5}, (2 * 20 * 8 + 8) + 1 + (2 * 8 * 3 + 3)),  # a weight and a delay each
        ({"units": [8], "neuron": nn.ReLU}, (20 * 8 + 8) + (8 * 3 + 3)),
    ],
)
def test_parameters_counted_on_paper(changes: dict[str, Any], expected: int) -> None:
    assert size(smlp(**changes)) == expected


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=3),
    units=st.lists(st.integers(1, 6), max_size=3),
    classes=st.integers(1, 4),
    samples=st.integers(1, 3),
    steps=st.integers(1, 3),
)
def test_any_shape(shape: list[int], units: list[int], classes: int, samples: int, steps: int) -> None:
    model, x = smlp(input_shape=shape, units=units, classes=classes, dims=len(shape) - 1), torch.randn(samples, *shape)
    steps = steps if units else 1  # without a hidden layer there is no neuron: an ANN
    for strategy in (SingleStep, MultiStep):
        assert strategy(steps)(model, x).shape == (steps, samples, classes)


def test_without_hidden_layers_it_is_linear() -> None:
    model, x = smlp(units=[]), torch.randn(2, 2, 10)
    expected = x.flatten(1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(MultiStep(4)(model, x), expected.unsqueeze(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": [8, 0]}, "units must be a whole number of at least 1, got 0"),
        ({"classes": 0}, "classes must be a whole number of at least 1, got 0"),
        ({"votes": 2}, "votes=2 are of neurons behind the head: add head_neuron=true"),
        ({"dims": 2}, r"dims=2 does not fit the data's shape \[2, 10\]: dims=1"),
        ({"input_shape": (10,)}, r"must be \[C,S\] or \[C,H,W\], got \[10\]"),
    ],
)
def test_what_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        smlp(**changes)
