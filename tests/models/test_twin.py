"""The ANN twin: the same tree, the same parameters, the same initial weights, interchangeable checkpoints."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from membrane.framework import SingleStep
from membrane.neurons import is_neuron, is_snn

Build = Callable[..., nn.Module]


@pytest.fixture(params=["if_hard", "lif_soft", "plif_soft"])
def neuron(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def outline(model: nn.Module) -> dict[str, str]:
    """Module names and classes, the inside of neurons left out; a neuron or activation is just that."""
    within = tuple(f"{name}." for name, module in model.named_modules() if is_neuron(module))
    return {
        name: "neuron" if is_neuron(module) or isinstance(module, nn.ReLU) else type(module).__name__
        for name, module in model.named_modules()
        if not name.startswith(within)
    }


@pytest.mark.product
def test_topology_is_the_same(build: Build, model_name: str, neuron: str, dims: int) -> None:
    snn, ann = build(model_name, neuron, dims), build(model_name, "relu", dims)
    assert is_snn(snn)
    assert not is_snn(ann)
    assert "neuron" in outline(snn).values()
    assert outline(snn) == outline(ann)


@pytest.mark.product
def test_names_and_initial_weights_are_equal(build: Build, model_name: str, neuron: str, dims: int) -> None:
    snn, ann = build(model_name, neuron, dims).state_dict(), build(model_name, "relu", dims).state_dict()
    extra = [name for name in snn if name not in ann]
    assert extra == [name for name in snn if name.endswith(".w")]
    assert bool(extra) == (neuron == "plif_soft")
    assert [name for name in snn if name not in extra] == list(ann)
    assert all(torch.equal(snn[name], value) for name, value in ann.items())
    other = build(model_name, "relu", dims, seed=1).state_dict()
    assert not torch.equal(other["head.weight"], ann["head.weight"])


@pytest.mark.product
def test_a_checkpoint_of_one_loads_into_the_other(build: Build, model_name: str, neuron: str, dims: int) -> None:
    snn, ann = build(model_name, neuron, dims, seed=1), build(model_name, "relu", dims)
    missing, unexpected = ann.load_state_dict(snn.state_dict(), strict=False)
    assert missing == []
    assert all(name.endswith(".w") for name in unexpected)
    back = build(model_name, neuron, dims)
    missing, unexpected = back.load_state_dict(ann.state_dict(), strict=False)
    assert unexpected == []
    assert all(name.endswith(".w") for name in missing)
    x = torch.randn(3, *((2, 24) if dims == 1 else (2, 16, 12)))
    assert torch.equal(SingleStep(4)(back.eval(), x), SingleStep(4)(snn.eval(), x))


def test_neurons_share_no_surrogate(build: Build, model_name: str) -> None:
    own = [module.surrogate_function for module in build(model_name).modules() if is_neuron(module)]
    assert own
    assert len({id(one) for one in own}) == len(own)
