"""The gradients of rows without a published number, a plug-in's and our own, equal those of SpikingJelly's modules."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from paper_nets import Fire, assert_same_gradients, conv, of_mean
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

MAX_POOL = (layer.MaxPool1d, layer.MaxPool2d)


def atan() -> nn.Module:
    return neuron.LIFNode(surrogate_function=surrogate.ATan())


def sigmoid() -> nn.Module:
    return neuron.LIFNode(surrogate_function=surrogate.Sigmoid())


def soft() -> nn.Module:
    return neuron.LIFNode(v_reset=None, surrogate_function=surrogate.Sigmoid())


def soft_without_leak() -> nn.Module:
    return neuron.IFNode(v_reset=None, surrogate_function=surrogate.Sigmoid())


def scnn(
    widths: Sequence[int],
    fire: Fire,
    *head: nn.Module,
    dims: int = 2,
    window: int = 3,
    padding: int | None = None,
    strides: Sequence[int] | int = 1,
    pools: Sequence[int] | int = 2,
) -> nn.Module:
    layers = len(widths) - 1
    strides, pools = ([each] * layers if isinstance(each, int) else each for each in (strides, pools))
    modules = list[nn.Module]()
    for (inputs, outputs), stride, pool in zip(pairwise(widths), strides, pools, strict=True):
        convolution = conv(inputs, outputs, fire, window, dims=dims, stride=stride, padding=padding)
        modules += [convolution, MAX_POOL[dims - 1](pool)]
    return nn.Sequential(*modules, *head)


class Sum(nn.Module):
    """A 1×1 convolution, a neuron, and the sum over positions [T,N,C,…] → [T,N,K]."""

    def __init__(self, inputs: int, classes: int, dims: int, fire: Fire) -> None:
        super().__init__()
        self.head, self.fire = (layer.Conv1d, layer.Conv2d)[dims - 1](inputs, classes, 1), fire()

    def forward(self, x: Tensor) -> Tensor:
        return self.fire(self.head(x)).flatten(3).sum(-1)


class Halved(nn.Module):
    """conv – norm – pool – neuron – conv – norm – neuron, added to the pooled input [T,N,C,S] → [T,N,C,S/2]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (layer.Conv1d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        norms, pool = [layer.BatchNorm1d(channels) for _ in range(2)], layer.MaxPool1d(2)
        self.main = nn.Sequential(first, norms[0], pool, sigmoid(), second, norms[1], sigmoid())
        self.shortcut = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


def resnet8() -> nn.Module:
    head = [layer.AdaptiveAvgPool1d(1), layer.Flatten(), layer.Linear(2, 35)]
    return nn.Sequential(conv(10, 2, sigmoid, 7, dims=1), *(Halved(2) for _ in range(3)), *head)


def svgg16() -> nn.Module:
    fire = soft_without_leak
    head = [layer.Flatten(), layer.Linear(2, 4), fire(), layer.Linear(4, 4), fire(), layer.Linear(4, 10)]
    return scnn([3] + [2] * 13, fire, *head, pools=[1, 2, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2])


def linear(inputs: int, classes: int) -> list[nn.Module]:
    return [layer.Flatten(), layer.Linear(inputs, classes)]


CASES: list[tuple[str, list[str], Callable[[], nn.Module], tuple[int, ...]]] = [
    ("plugin/svgg16_cifar10", [f"model.filters={[2] * 13}", "model.fc_units=[4,4]"], svgg16, (3, 32, 32)),
    ("plugin/sresnet8_gsc", ["model.filters=[2,2,2,2]"], resnet8, (10, 100)),
    (
        "plugin/scnn_dvs_gesture",
        [f"model.filters={[2] * 7}"],
        lambda: scnn([2] * 8, soft, Sum(2, 11, 2, soft), strides=2, pools=1),
        (2, 128, 128),
    ),
    (
        "plugin/scnn_shd",
        ["model.filters=[2,2,2]"],
        lambda: scnn([1, 2, 2, 2], sigmoid, *linear(2 * 11, 20), dims=1, window=7, strides=2),
        (1, 700),
    ),
    (
        "uci_har",
        ["model.filters=[2,4,4]"],
        lambda: scnn([9, 2, 4, 4], atan, Sum(4, 6, 1, atan), dims=1, window=5, padding=1),
        (9, 128),
    ),
    (
        "fsdd",
        ["model.filters=[2,4,4]"],
        lambda: scnn([1, 2, 4, 4], atan, *linear(4 * 3 * 4, 10), strides=[2, 1, 1], pools=[1, 2, 2]),
        (1, 24, 32),
    ),
    ("nmnist_subset", ["model.filters=[2,4,4]"], lambda: scnn([2, 2, 4, 4], atan, *linear(4 * 16, 10)), (2, 34, 34)),
]


@pytest.mark.parametrize(("row", "changes", "net", "shape"), CASES, ids=[row for row, *_ in CASES])
def test_gradients_are_those_of_the_network_by_hand(
    row: str, changes: list[str], net: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    assert_same_gradients(row, [each.replace(" ", "") for each in changes], net(), shape, of_mean)
