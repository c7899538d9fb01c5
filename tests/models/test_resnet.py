"""The parts that networks after ResNet share, against torchvision's ResNets."""

import math

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from membrane.models.resnet import BOTTLENECK, STAGES, make_stem


def test_stages_and_bottlenecks_are_torchvisions() -> None:
    for depth, blocks in STAGES.items():
        with torch.device("meta"):  # without weights
            net = getattr(torchvision.models, f"resnet{depth}")()
        stages = [net.layer1, net.layer2, net.layer3, net.layer4]
        assert blocks == list(map(len, stages))
        assert isinstance(net.layer1[0], Bottleneck) == (depth >= BOTTLENECK)
    assert list(STAGES) == [18, 34, 50, 101, 152]


def test_the_stem_for_large_images_is_torchvisions() -> None:
    with torch.device("meta"):
        net = torchvision.models.resnet18()
    conv, pool = make_stem(3, "imagenet")
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "bias"):
        assert getattr(conv, name) == getattr(net.conv1, name), name
    assert (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 1)
    assert pool(conv(torch.zeros(1, 3, 64, 96))).shape == (1, 64, 16, 24)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_stem_for_small_images_keeps_their_size(channels: int) -> None:
    conv, pool = make_stem(channels, "cifar")
    assert isinstance(pool, nn.Identity)
    assert conv(torch.zeros(1, channels, 9, 5)).shape == (1, 64, 9, 5)
    assert sum(weight.numel() for weight in conv.parameters()) == 64 * channels * 9


@pytest.mark.parametrize(("stem", "kernel"), [("imagenet", 7), ("cifar", 3)])
def test_weights_are_drawn_with_the_variance_of_he_et_al(stem: str, kernel: int) -> None:
    torch.manual_seed(0)
    weight = make_stem(16, stem)[0].weight
    assert isinstance(weight, torch.Tensor)
    std = math.sqrt(2 / (64 * kernel**2))  # fan out
    assert weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel()))
    assert abs(weight.mean().item()) < 5 * std / math.sqrt(weight.numel())
