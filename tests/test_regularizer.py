"""Penalties on firing rates, against numbers worked out by hand, in both step modes, and in training alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

from membrane.config.check import check
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.smlp import SMLP
from membrane.regularizer import FiringRate
from membrane.training.assembly import build_learner

RATE = {"_target_": "membrane.regularizer.FiringRate"}


def fire() -> neuron.IFNode:
    """Fires at every timestep whose input is 1, and at none whose input is 0."""
    return neuron.IFNode(surrogate_function=surrogate.ATan(), v_reset=None)


def two_layers() -> nn.Sequential:
    """[…,3,1] → neuron `first` → the first two of the three, by a linear layer → neuron `second`."""
    model = nn.Sequential()
    model.add_module("flatten", layer.Flatten())
    model.add_module("first", fire())
    model.add_module("pick", layer.Linear(3, 2, bias=False))
    model.pick.weight.data.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    model.add_module("second", fire())
    return model


def penalty(regularizer: FiringRate, run: Callable[[], Any], lengths: Tensor | None = None) -> Tensor:
    with regularizer.listening(lengths) as found:
        run()
    return found()


# x [N=2,T=3,3]: of 18 spikes 8, of the 12 that reach `second` 6
X = torch.tensor([[[1, 1, 0], [1, 0, 0], [1, 0, 1]], [[1, 0, 0], [0, 1, 1], [0, 0, 0]]]).float().reshape(2, 3, 3, 1)
# `first` 8/18, `second` 6/12; in the first sample's 3 and the second's 1 timestep: 6/12 and 5/8
LENGTHS = torch.tensor([3, 1])


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
@pytest.mark.parametrize(
    ("bounds", "lengths", "expected"),
    [
        ({"lower": 0.0, "upper": 0.4}, None, (8 / 18 - 0.4) ** 2 + (0.5 - 0.4) ** 2),
        ({"lower": 0.46, "upper": 0.48}, None, (0.46 - 8 / 18) ** 2 + (0.5 - 0.48) ** 2),
        ({"lower": 0.6, "upper": 0.8, "weight": 3.0}, None, 3 * ((0.6 - 8 / 18) ** 2 + 0.1**2)),
        ({"lower": 0.4, "upper": 0.6}, None, 0),
        ({"lower": 0.0, "upper": 0.4}, LENGTHS, 0.1**2 + (5 / 8 - 0.4) ** 2),
        ({"lower": 0.4, "upper": 0.6, "layers": {"second": [0.7, 0.9]}}, None, 0.2**2),
        ({"lower": 0.7, "upper": 0.9, "layers": {"second": [0.5, 0.5]}}, None, (0.7 - 8 / 18) ** 2),
    ],
)
def test_by_hand(strategy: Any, bounds: dict[str, Any], lengths: Tensor | None, expected: float) -> None:
    model = two_layers()
    regularizer = FiringRate(model, **bounds)
    found = penalty(regularizer, lambda: strategy(3)(model, X, lengths), lengths)
    assert found.shape == ()
    assert found.item() == pytest.approx(expected, abs=1e-7)


@settings(max_examples=25)
@given(
    steps=st.integers(1, 4),
    samples=st.integers(1, 4),
    cut=st.booleans(),
    seed=st.integers(0, 2**16),
    in_data=st.booleans(),
)
def test_the_same_number_and_gradient_in_both_step_modes(
    steps: int, samples: int, cut: bool, seed: int, in_data: bool
) -> None:
    torch.manual_seed(seed)
    model = SMLP(input_shape=(2, 5), classes=3, timesteps=steps, neuron=fire, units=[6, 4], head_neuron=True).double()
    x = 4 * torch.rand(samples, *([steps] if in_data else []), 2, 5, dtype=torch.float64)
    lengths = torch.randint(1, steps + 1, (samples,)) if cut else None
    found, gradients = [], []
    for strategy in (SingleStepTID, MultiStepTID) if in_data else (SingleStep, MultiStep):
        regularizer = FiringRate(model, lower=0.6, upper=0.7)
        value = penalty(regularizer, lambda: strategy(steps)(model, x, lengths), lengths)  # noqa: B023
        model.zero_grad()
        value.backward()
        found.append(value.item())
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert found[0] == pytest.approx(found[1])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


def test_the_gradient_is_that_of_the_band_through_the_surrogate() -> None:
    # one neuron, one timestep, x = 0.6 below the threshold 1: rate 0, d penalty/d rate = −2·(lower − 0)
    x = torch.tensor([[0.6]], dtype=torch.float64, requires_grad=True)
    model = nn.Sequential(fire())
    penalty(FiringRate(model, lower=0.3, upper=0.5), lambda: model(x)).backward()
    slope = 1 / (1 + (torch.pi * (0.6 - 1)) ** 2)  # ATan with α = 2
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(-2 * 0.3 * slope)


def test_following_it_brings_a_silent_net_into_its_band() -> None:
    torch.manual_seed(0)
    model, x = SMLP(input_shape=(1, 8), classes=2, timesteps=4, neuron=fire, units=[16]), torch.rand(32, 1, 8) / 10
    regularizer = FiringRate(model, lower=0.3, upper=0.4)
    optimizer = torch.optim.Adam(model.fc1.parameters(), lr=0.02)
    values = []
    for _ in range(60):
        values.append(penalty(regularizer, lambda: MultiStep(4)(model, x)))
        optimizer.zero_grad()
        values[-1].backward()
        optimizer.step()
    assert values[0].item() > 0.2**2
    assert values[-1].item() < 0.02**2


def test_no_hook_is_left_behind_even_after_an_error() -> None:
    model = two_layers()
    regularizer = FiringRate(model)

    def stopped() -> None:
        assert all(len(module._forward_hooks) == 1 for module in (model.first, model.second))
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        penalty(regularizer, stopped)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_name_that_is_no_neuron_layer_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"^regularizer\.layers: pick is no neuron layer, there are first, second$"):
        FiringRate(two_layers(), layers={"first": [0.1, 0.2], "pick": [0.1, 0.2]})
    with pytest.raises(ConfigError, match=r"^regularizer: the model has no neuron layers; use regularizer=none$"):
        FiringRate(nn.Linear(2, 2))


def test_the_learner_adds_it_in_training_alone(raw: dict[str, Any]) -> None:
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6)
    batch = Batch(x, y, None, torch.arange(6), torch.arange(6))
    bounds = {"lower": 0.9, "upper": 0.95, "layers": {"neuron2": [0.0, 1.0]}}
    losses, measured = [], []
    for regularizer in (None, {**RATE, **bounds}):
        learner = build_learner(check({**raw, "regularizer": regularizer})).train()
        learner._trainer = type("T", (), {"current_epoch": 0})()
        losses.append(learner.training_step(batch, 0))
        learner.eval().validation_step(batch, 0)
        measured.append(learner.validation_metrics.loss.compute().item())
    # the weights are the same, and so is the forward: the difference is the penalty of the layer's rate, heard apart
    learner, heard = build_learner(check(raw)).train(), []
    learner.model.neuron1.register_forward_hook(lambda _m, _x, output: heard.append(output.mean().item()))
    learner.framework(learner.model, x)
    assert heard[0] < 0.9
    assert (losses[1] - losses[0]).item() == pytest.approx((0.9 - heard[0]) ** 2, rel=1e-4)
    assert measured[0] == measured[1]


def test_losses_on_the_prediction_alone_get_the_readout(raw: dict[str, Any]) -> None:
    for name, takes in (("CrossEntropy", True), ("MSE", True), ("TET", False), ("SpikeCount", False)):
        learner = build_learner(check({**raw, "loss": {"_target_": f"membrane.losses.{name}"}}))
        assert (getattr(learner.loss, "readout", None) is learner.readout) == takes


def test_a_layer_that_forward_never_calls_is_named() -> None:
    model = two_layers()
    regularizer = FiringRate(model)
    with pytest.raises(
        ConfigError, match=r"^regularizer: neuron layer second has no firing rate, forward never calls it$"
    ):
        penalty(regularizer, lambda: model.first(torch.ones(2, 3)))
