"""Layers of weights behind neurons, found by running a model; and neurons with names of their own learn."""

from functools import partial
from typing import Any

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import neuron
from torch import nn

from membrane.framework import MultiStep
from membrane.models.sresnet import SResNet
from membrane.neurons.first_forward import needs_first_forward, weights_behind_neurons
from membrane.randomness import generator
from membrane.training.assembly import build_learner


def test_the_stem_is_not_behind_a_neuron() -> None:
    model = SResNet(
        input_shape=(2, 8),
        classes=3,
        timesteps=2,
        neuron=neuron.LIFNode,
        filters=[4, 4, 6],
        force_projection_with_stride=True,
        strides=[1, 2, 1],
    )
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv1d | nn.Linear)}
    behind = weights_behind_neurons(model, partial(MultiStep(2), model, torch.rand(2, 2, 8)))
    assert set(behind) == {module for name, module in layers.items() if not name.startswith("stem")}
    assert len(behind) == len(layers) - 1 >= 5
    assert not any(module._forward_pre_hooks for module in model.modules())  # private to torch 2.11.0
    assert not needs_first_forward(model)


def test_the_norm_of_a_neuron_is_complete_when_the_model_is_built() -> None:
    model = build_learner(configured("model=smlp", "neuron=mpbn_lif", "model.bn_momentum=0.25")).model
    norm = model.get_submodule("neuron1.norm")
    assert (norm.num_features, norm.momentum, int(norm.num_batches_tracked)) == (128, 0.25, 0)
    assert all(module.training for module in model.modules())
    assert model.get_submodule("neuron1").v == 0.0


def fit(learner: Any, x: torch.Tensor, y: torch.Tensor, steps: int) -> list[float]:
    """The losses of some steps of Adam on one batch."""
    optimizer, losses = torch.optim.Adam(learner.parameters(), lr=0.01), []
    for _ in range(steps):
        outputs = learner.framework(learner.model.train(), x)
        loss = nn.functional.cross_entropy(outputs.mean(0), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("name", "frameworks"),
    [
        ("sltt_lif", ["singlestep"]),
        ("ottt_lif", ["singlestep"]),
        ("liaf", ["singlestep", "multistep"]),
        ("mpbn_lif", ["singlestep", "multistep"]),
        ("ilif", ["singlestep", "multistep"]),
    ],
)
def test_a_small_net_learns_a_batch_by_heart(name: str, frameworks: list[str]) -> None:
    x, y = torch.rand(20, 1, 8, 8, generator=generator(0, "data")), torch.arange(20) % 10
    found = []
    for framework in frameworks:
        learner = build_learner(
            configured("model=smlp", "model.units=[32]", f"neuron={name}", f"framework={framework}")
        )
        before = {name: parameter.clone() for name, parameter in learner.model.named_parameters()}
        found.append(fit(learner, x, y, 30))
        assert found[-1][-1] < 0.7 * found[-1][0]
        assert all((parameter != before[name]).any() for name, parameter in learner.model.named_parameters())
    # no layer mixes timesteps: both step modes are one function in training too
    assert found[-1][:5] == pytest.approx(found[0][:5], rel=1e-4)
