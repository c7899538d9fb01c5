"""A neuron after the sum of a block: torchvision's block with ReLU, SpikingJelly's with spikes, the same weights."""

from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from spikingjelly.activation_based import functional, neuron, surrogate
from spikingjelly.activation_based.model import spiking_resnet
from torch import Tensor, nn
from torch.nn import functional as F

from membrane.models.residual import BasicBlock, FormalBlock
from membrane.models.spiking_resnet import SpikingResNet
from membrane.models.sresnet import SResNet
from membrane.models.sresnet_stride import SResNetStride
from membrane.neurons import is_neuron, make_neuron
from membrane.randomness import scoped

IF = partial(make_neuron, neuron.IFNode, surrogate.ATan, v_reset=None)
RELU = partial(make_neuron, nn.ReLU, None)
NEEDED: dict[str, Any] = {"input_shape": (2, 12, 8), "classes": 5, "timesteps": 4, "filters": [4, 4, 6]}
RESHAPED = {"strides": [1, 1, 2], "num_blocks": [1, 2]}
THEIRS = {
    "main.conv1": "conv1",
    "main.norm1": "bn1",
    "main.conv2": "conv2",
    "main.norm2": "bn2",
    "shortcut.conv": "downsample.0",
    "shortcut.norm": "downsample.1",
}
"""A layer of a block → torchvision's and SpikingJelly's name of it."""


def build(kind: Any = SResNetStride, fire: Any = IF, **changes: Any) -> nn.Module:
    with scoped(0, "initialisation"):
        model: nn.Module = kind(**{**NEEDED, **RESHAPED, "neuron": fire, "neuron_after_sum": True, **changes})
    return model


def with_our_weights(theirs: nn.Module, block: nn.Module) -> nn.Module:
    """Load a block's weights, and statistics that are not those of the start, into another's of the same layers."""
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.05, 0.2)  # type: ignore[union-attr]
    keys = [name.rpartition(".") for name in block.state_dict()]
    renamed = {f"{THEIRS[layer]}.{tensor}": block.state_dict()[f"{layer}.{tensor}"] for layer, _, tensor in keys}
    theirs.load_state_dict(renamed)
    return theirs.eval()


def their_block(kind: Any, inputs: int, width: int, stride: int, **settings: Any) -> nn.Module:
    projection = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    block: nn.Module = kind(inputs, width, stride, None if stride == 1 else projection, **settings)
    return block


@pytest.mark.parametrize(("name", "inputs", "width", "stride"), [("group1", 4, 4, 1), ("group2", 4, 6, 2)])
def test_with_relu_a_block_is_torchvisions(name: str, inputs: int, width: int, stride: int) -> None:
    block = build(fire=RELU).get_submodule(f"{name}.block1").eval()
    theirs = with_our_weights(their_block(torchvision.models.resnet.BasicBlock, inputs, width, stride), block)
    x = torch.randn(3, inputs, 12, 8)
    expected = theirs(x)
    assert (expected == 0).any()
    assert expected.max() > 1
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("name", "inputs", "width", "stride"), [("group1", 4, 4, 1), ("group2", 4, 6, 2)])
def test_with_spikes_a_block_is_spikingjellys(name: str, inputs: int, width: int, stride: int) -> None:
    block = build().get_submodule(f"{name}.block1").eval()
    fire = lambda **_: IF()  # noqa: E731
    theirs = their_block(spiking_resnet.BasicBlock, inputs, width, stride, spiking_neuron=fire)
    theirs = with_our_weights(theirs, block)
    for frame in (torch.rand(4, 3, inputs, 12, 8) < 0.5).float():
        expected = theirs(frame)
        assert 0.02 < expected.mean() < 0.9
        assert set(expected.unique().tolist()) == {0.0, 1.0}
        assert torch.equal(block(frame), expected)


@pytest.mark.parametrize("forced", [False, True])
def test_a_block_that_pools_written_out_by_hand(forced: bool) -> None:
    model = build(
        SResNet, RELU, filters=[3, 3], strides=[1, 2], num_blocks=1, norm="none", force_projection_with_stride=forced
    )
    block = model.get_submodule("group1.block1")
    weights, x = block.state_dict(), torch.randn(2, 3, 12, 8)
    inner = F.max_pool2d(F.conv2d(x, weights["main.conv1.weight"], weights["main.conv1.bias"], padding=1), 2).relu()
    main = F.conv2d(inner, weights["main.conv2.weight"], weights["main.conv2.bias"], padding=1)
    shortcut = F.max_pool2d(x, 2)
    if forced:
        shortcut = F.max_pool2d(F.conv2d(x, weights["shortcut.conv.weight"], weights["shortcut.conv.bias"]), 2)
    torch.testing.assert_close(block(x), (main + shortcut).relu())


@pytest.mark.parametrize("shape", [(2, 24), (2, 12, 8)])
@pytest.mark.parametrize("kind", [SResNet, SResNetStride])
def test_parameters_and_initial_weights_are_those_of_the_net_that_fires_before_the_sum(
    kind: Any, shape: tuple[int, ...]
) -> None:
    after, before = (
        build(kind, fire, input_shape=shape, neuron_after_sum=later) for fire, later in ((RELU, True), (IF, False))
    )
    assert list(after.state_dict()) == list(before.state_dict())
    assert all(torch.equal(x, before.state_dict()[name]) for name, x in after.state_dict().items())


def test_the_tree() -> None:
    model = build()
    fires = [name for name, module in model.named_modules() if is_neuron(module)]
    blocks = [name for name, module in model.named_modules() if isinstance(module, BasicBlock)]
    assert blocks == ["group1.block1", "group2.block1", "group2.block2"]
    assert all(isinstance(model.get_submodule(name), FormalBlock) for name in blocks)
    assert fires == ["stem.neuron", *(f"{name}.{last}" for name in blocks for last in ("main.neuron1", "neuron"))]
    assert not any(isinstance(module, FormalBlock) for module in build(neuron_after_sum=False).modules())


def test_a_neuron_with_parameters_is_there_once_for_each_block() -> None:
    plif = partial(make_neuron, neuron.ParametricLIFNode, surrogate.ATan)
    counts = {
        later: sum(parameter.numel() for parameter in build(fire=plif, neuron_after_sum=later).parameters())
        for later in (False, True)
    }
    # three blocks of which one projects: 3 · 2 + 1 neurons, of which the three sums leave 3 · 2
    assert counts[False] - counts[True] == 1


def test_the_large_net_with_relu_is_torchvisions() -> None:
    with scoped(0, "initialisation"):
        ours = SpikingResNet(input_shape=(3, 32, 32), classes=10, timesteps=2, neuron=RELU, stem="imagenet").eval()
        theirs = torchvision.models.resnet18(num_classes=10).eval()
    theirs.load_state_dict(ours.state_dict())
    functional.set_step_mode(ours, "s")
    x: Tensor = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
