"""The gradients of a row equal those of its network by hand: SpikingJelly's modules, or loops over papers' equations.

Networks are narrow and images small, layers and their order are the paper's.
"""

from collections.abc import Callable, Sequence

import pytest
from paper_nets import Fire, Leak, Rectangle, Triangle, assert_same_gradients, conv, of_mean, resnet19, squares, vggsnn
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn, stack
from torch.nn.functional import cross_entropy


def plif() -> nn.Module:
    return neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True, surrogate_function=surrogate.ATan())


def lif() -> nn.Module:
    return neuron.LIFNode(tau=2.0, detach_reset=True, surrogate_function=surrogate.ATan())


def plif_net(
    inputs: int,
    pixels: int,
    pools: int,
    units: int,
    outputs: int,
    convs: int = 1,
    fire: Fire = plif,
    bias: bool = False,
) -> nn.Module:
    """``pools`` times ``convs`` convolutions of two channels and a pool, two linear layers, ten votes of each class."""
    modules = list[nn.Module]()
    for _ in range(pools):
        modules += [conv(inputs, 2, fire), *(conv(2, 2, fire) for _ in range(convs - 1)), layer.MaxPool2d(2, 2)]
        inputs, pixels = 2, pixels // 2
    first, second = layer.Linear(2 * pixels * pixels, units, bias=bias), layer.Linear(units, outputs, bias=bias)
    return nn.Sequential(*modules, layer.Flatten(), first, fire(), second, fire(), layer.VotingLayer(10))


class SEW(nn.Module):
    """1×1 where channels change, then x + two layers of x, then a pool."""

    def __init__(self, widths: Sequence[int], pixels: int, classes: int) -> None:
        super().__init__()
        self.stages, inputs = nn.ModuleList(), 2
        for width in widths:
            change = [conv(inputs, width, plif, 1)] if width != inputs else []
            self.stages.append(
                nn.ModuleList([*change, nn.Sequential(conv(width, width, plif), conv(width, width, plif))])
            )
            inputs, pixels = width, pixels // 2
        self.pool, self.flatten = layer.MaxPool2d(2, 2), layer.Flatten()
        self.out = layer.Linear(inputs * pixels * pixels, classes)

    def forward(self, x: Tensor) -> Tensor:
        for *change, block in self.stages:
            for module in change:
                x = module(x)
            x = self.pool(block(x) + x)
        return self.out(self.flatten(x))


def tet() -> nn.Module:
    return Leak(0.5, 1.0, Triangle)


def tdbn() -> nn.Module:
    return Leak(0.25, 0.5, Rectangle)


def of_each(outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of TET with λ 0.001: 0.999 of the mean cross-entropy over t and 0.001 of the distance from 1."""
    entropy = stack([cross_entropy(each, y) for each in outputs]).mean()
    return 0.999 * entropy + 0.001 * (outputs - 1).square().mean()


NARROW = ["model.channels=2"]
Case = tuple[str, list[str], Callable[[], nn.Module], tuple[int, ...], Callable[[Tensor, Tensor], Tensor]]
CASES: list[Case] = [
    ("plif/mnist", NARROW, lambda: plif_net(1, 28, 2, 2048, 100), (1, 28, 28), squares),
    ("plif/fashion_mnist", NARROW, lambda: plif_net(1, 28, 2, 2048, 100), (1, 28, 28), squares),
    ("plif/nmnist", NARROW, lambda: plif_net(2, 34, 2, 2048, 100), (2, 34, 34), squares),
    ("plif/cifar10", NARROW, lambda: plif_net(3, 32, 2, 2048, 100, convs=3), (3, 32, 32), squares),
    ("plif/cifar10_dvs", NARROW, lambda: plif_net(2, 128, 4, 512, 100), (2, 128, 128), squares),
    ("plif/dvs_gesture", NARROW, lambda: plif_net(2, 128, 5, 512, 110), (2, 128, 128), squares),
    (
        "spikingjelly/dvs_gesture_csnn",
        NARROW,
        lambda: plif_net(2, 128, 5, 512, 110, fire=lif, bias=True),
        (2, 128, 128),
        squares,
    ),
    (
        "sew/dvs_gesture",
        ["model.channels=[4,4]", "augmentation.time_subset.steps=2"],
        lambda: SEW([4, 4], 128, 11),
        (2, 128, 128),
        of_mean,
    ),
    (
        "sew/cifar10_dvs",
        ["model.channels=[4,6]", "augmentation.time_subset.steps=2"],
        lambda: SEW([4, 6], 128, 10),
        (2, 128, 128),
        of_mean,
    ),
    ("tet/vggsnn_cifar10_dvs", [*NARROW, "model.pixels=16"], lambda: vggsnn(tet), (2, 16, 16), of_each),
    ("tet/resnet19_cifar10", NARROW, lambda: resnet19(tet), (3, 32, 32), of_each),
    ("tdbn/resnet19_cifar10", NARROW, lambda: resnet19(tdbn), (3, 32, 32), of_mean),
]


@pytest.mark.parametrize(("row", "changes", "net", "shape", "loss"), CASES, ids=[row for row, *_ in CASES])
def test_gradients_are_those_of_the_network_by_hand(
    row: str, changes: list[str], net: Callable[[], nn.Module], shape: tuple[int, ...], loss: Callable[..., Tensor]
) -> None:
    assert_same_gradients(row, changes, net(), shape, loss)
