"""Small models of every template, lively enough that their neurons spike."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from membrane.framework import MultiStep
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.models.sresnet import SResNet
from membrane.models.sresnet_stride import SResNetStride
from membrane.neurons import make_neuron
from membrane.randomness import scoped

MODELS: dict[str, Callable[..., nn.Module]] = {
    "smlp": partial(SMLP, units=[24]),
    "smlp_deep": partial(SMLP, units=[24, 16]),
    "smlp_head_neuron": partial(SMLP, units=[24], head_neuron=True),
    "scnn": partial(SCNN, filters=[6, 8]),
    "scnn_head_neuron": partial(SCNN, filters=[8, 8], head_neuron=True),  # a size at which no class always spikes
    "scnn_separable": partial(
        SCNN,
        filters=[6, 8],
        kernel_sizes=[5, 3],
        paddings=[2, 1],
        strides=[1, 2],
        pool_sizes=[2, 1],
        dropouts=[0.0, 0.2],
        separables=[False, True],
        fc_units=[12],
        fc_dropouts=0.3,
        prepool=2,
        postpool=2,
    ),
    "scnn_gsp": partial(SCNN, filters=[6, 8], separables=[True, False], pool_sizes=1, gsp=True, norm="none"),
    "sresnet": partial(SResNet, filters=[6, 6, 8], strides=[1, 2, 1]),
    "sresnet_after_sum": partial(SResNet, filters=[6, 6, 8], strides=[1, 2, 1], neuron_after_sum=True),
    "sresnet_projections": partial(
        SResNet,
        filters=[6, 6],
        kernel_sizes=[5, 3],
        strides=[1, 2],
        paddings=[2, 1],
        num_blocks=[2],
        force_projection_with_stride=True,
        prepool=2,
        postpool="max",
    ),
    "sresnet_stride": partial(
        SResNetStride, filters=[6, 6, 8], kernel_sizes=[3, 5, 3], paddings=[1, 2, 1], strides=[1, 2, 1], postpool="max"
    ),
    "sresnet_stride_projections": partial(
        SResNetStride,
        filters=[6, 6, 6],
        strides=[1, 2, 1],
        pool_sizes=[1, 1, 2],
        num_blocks=[1, 2],
        force_projection_with_stride=True,
        force_projection_with_pooling=True,
        postpool="sum",
    ),
}
NEURONS: dict[str, Callable[[], nn.Module]] = {
    "if_soft": partial(make_neuron, neuron.IFNode, surrogate.ATan, v_reset=None),
    "if_hard": partial(make_neuron, neuron.IFNode, surrogate.ATan, v_reset=0),
    "lif_soft": partial(make_neuron, neuron.LIFNode, surrogate.ATan, v_reset=None),
    "lif_hard": partial(make_neuron, neuron.LIFNode, surrogate.ATan, tau=3, decay_input=False, v_reset=-0.25),
    "plif_soft": partial(make_neuron, neuron.ParametricLIFNode, surrogate.ATan, init_tau=3, v_reset=None),
    "plif_hard": partial(make_neuron, neuron.ParametricLIFNode, surrogate.ATan, decay_input=False, v_reset=0),
    "relu": partial(make_neuron, nn.ReLU, None),
}
SHAPES = {1: (2, 24), 2: (2, 16, 12)}
CLASSES = 5


@pytest.fixture(autouse=True)
def one_thread(alone: None) -> None:
    """Models this small lose more to a second thread than they gain."""
    torch.set_num_threads(1)


@pytest.fixture(params=list(MODELS))
def model_name(request: pytest.FixtureRequest) -> str:
    """Every template."""
    return str(request.param)


@pytest.fixture(params=[1, 2])
def dims(request: pytest.FixtureRequest) -> int:
    """1-D and 2-D."""
    return int(request.param)


@pytest.fixture
def neurons() -> list[str]:
    """What neurons `build` knows."""
    return list(NEURONS)


@pytest.fixture
def shapes() -> dict[int, tuple[int, ...]]:
    """The shape of a sample, by the number of dimensions."""
    return SHAPES


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    """A model with PyTorch's initialisation, the same at every call."""

    def built(name: str, neuron: str = "lif_soft", dims: int = 1, seed: int = 0, **changes: Any) -> nn.Module:
        with scoped(seed, "initialisation"):
            return MODELS[name](
                **{
                    "input_shape": SHAPES[dims],
                    "classes": CLASSES,
                    "timesteps": 4,
                    "neuron": NEURONS[neuron],
                    **changes,
                }
            )

    return built


@pytest.fixture
def build_lively(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """The same with batch norms that have seen something, and weights that let spikes reach the last layer."""

    def built(name: str, neuron: str = "lif_soft", dims: int = 1, **changes: Any) -> nn.Module:
        model = build(name, neuron, dims, **changes)
        return enlivened(model, SHAPES[dims])

    return built


@pytest.fixture
def enliven() -> Callable[[nn.Module, tuple[int, ...]], nn.Module]:
    """The same for any model, with the shape of a sample."""
    return enlivened


def enlivened(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The model, in eval mode, changed so that its neurons spike."""
    with scoped(1, "initialisation"), torch.no_grad():
        for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.8, 1.2)
            norm.weight.uniform_(0.8, 1.2)
            if norm.bias is not None:  # a norm through time has none
                norm.bias.uniform_(0.0, 0.4)
        layers = [module for module in model.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)]
        handles = [module.register_forward_hook(scale) for module in layers]
        MultiStep(6)(model.eval(), torch.randn(8, *shape))
        for handle in handles:
            handle.remove()
    return model


def scale(module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
    """Forward hook: change a layer's weights so that its outputs have a standard deviation of 2."""
    factor = 2 / output.std()
    for parameter in module.parameters():
        parameter.mul_(factor)
    return output * factor
