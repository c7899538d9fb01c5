"""The gradients of a row equal those of its network by hand: SpikingJelly's modules, or loops over papers' equations.

Networks are narrow and images small, layers and their order are the paper's. Dropout and augmentations are off.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner

N, T = 6, 4


def plif() -> nn.Module:
    return neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True, surrogate_function=surrogate.ATan())


def conv(inputs: int, outputs: int, fire: Callable[[], nn.Module], window: int = 3, bias: bool = False) -> nn.Module:
    weights = layer.Conv2d(inputs, outputs, window, padding=window // 2, bias=bias)
    return nn.Sequential(weights, layer.BatchNorm2d(outputs), fire())


def plif_net(inputs: int, pixels: int, units: int) -> nn.Module:
    pool, side = layer.MaxPool2d(2, 2), pixels // 4
    convolutions = [conv(inputs, 2, plif), pool, conv(2, 2, plif), pool, layer.Flatten()]
    first, second = layer.Linear(2 * side * side, units, bias=False), layer.Linear(units, 100, bias=False)
    return nn.Sequential(*convolutions, first, plif(), second, plif(), layer.VotingLayer(10))


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


class Triangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return gradient * (1 - u.abs()).clamp(min=0)


class Rectangle(Triangle):
    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return gradient * (u.abs() <= 0.5)


class Leak(nn.Module):
    """u[t] = leak·u[t−1]·(1 − o[t−1]) + x[t], o[t] = Θ(u[t] − θ), x [T,N,…]."""

    def __init__(self, leak: float, threshold: float, spike: type[Triangle]) -> None:
        super().__init__()
        self.leak, self.threshold, self.spike = leak, threshold, spike

    def forward(self, x: Tensor) -> Tensor:
        u, outputs = torch.zeros_like(x[0]), []
        for each in x:
            u = self.leak * u + each
            outputs.append(self.spike.apply(u - self.threshold))
            u = u * (1 - outputs[-1])
        return torch.stack(outputs)


def tet() -> nn.Module:
    return Leak(0.5, 1.0, Triangle)


def tdbn() -> nn.Module:
    return Leak(0.25, 0.5, Rectangle)


def vggsnn() -> nn.Module:
    widths, modules = [2, 2, 4, 8, 8, 16, 16, 16, 16], list[nn.Module]()
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        modules.append(conv(inputs, outputs, tet, bias=True))
        modules += [layer.AvgPool2d(2)] * (number % 2)
    return nn.Sequential(*modules, layer.Flatten(), layer.Linear(16, 10))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, fire: Callable[[], nn.Module]) -> None:
        super().__init__()
        first, second = (layer.Conv2d(a, outputs, 3, s, 1, bias=False) for a, s in ((inputs, stride), (outputs, 1)))
        self.main = nn.Sequential(first, layer.BatchNorm2d(outputs), fire(), second, layer.BatchNorm2d(outputs))
        change = [layer.Conv2d(inputs, outputs, 1, stride, bias=False), layer.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*change if inputs != outputs else [])
        self.fire = fire()

    def forward(self, x: Tensor) -> Tensor:
        return self.fire(self.main(x) + self.shortcut(x))


def resnet19(fire: Callable[[], nn.Module]) -> nn.Module:
    blocks = [Block(i, o, s, fire) for i, o, s in ((2, 4, 1), (4, 4, 1), (4, 4, 1), (4, 8, 2), (8, 8, 1), (8, 8, 1))]
    blocks += [Block(8, 16, 2, fire), Block(16, 16, 1, fire)]
    head = [layer.AdaptiveAvgPool2d(1), layer.Flatten(), layer.Linear(16, 8), fire(), layer.Linear(8, 10)]
    return nn.Sequential(conv(3, 2, fire), *blocks, *head)


def squares(outputs: Tensor, y: Tensor) -> Tensor:
    return mse_loss(outputs.mean(0), one_hot(y, outputs.shape[2]).to(outputs.dtype))


def of_mean(outputs: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(outputs.mean(0), y)


def of_each(outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of TET with λ 0.001: 0.999 of the mean cross-entropy over t and 0.001 of the distance from 1."""
    entropy = torch.stack([cross_entropy(each, y) for each in outputs]).mean()
    return 0.999 * entropy + 0.001 * (outputs - 1).square().mean()


NARROW = ["model.channels=2"]
Case = tuple[str, list[str], Callable[[], nn.Module], tuple[int, ...], Callable[[Tensor, Tensor], Tensor]]
CASES: list[Case] = [
    ("plif/fashion_mnist", NARROW, lambda: plif_net(1, 28, 2048), (1, 28, 28), squares),
    ("plif/nmnist", NARROW, lambda: plif_net(2, 34, 2048), (2, 34, 34), squares),
    (
        "sew/dvs_gesture",
        ["model.channels=[4,4]", "augmentation.time_subset.steps=2"],
        lambda: SEW([4, 4], 128, 11),
        (2, 128, 128),
        of_mean,
    ),
    ("tet/vggsnn_cifar10_dvs", [*NARROW, "model.pixels=16"], vggsnn, (2, 16, 16), of_each),
    ("tet/resnet19_cifar10", NARROW, lambda: resnet19(tet), (3, 32, 32), of_each),
    ("tdbn/resnet19_cifar10", NARROW, lambda: resnet19(tdbn), (3, 32, 32), of_mean),
]


@pytest.mark.parametrize(("row", "changes", "net", "shape", "loss"), CASES, ids=[row for row, *_ in CASES])
def test_gradients_are_those_of_the_network_by_hand(
    row: str, changes: list[str], net: Callable[[], nn.Module], shape: tuple[int, ...], loss: Callable[..., Tensor]
) -> None:
    config = configured(f"experiment={row}", *changes, f"timesteps={T}", "trainer=cpu")
    learner, hand = build_learner(config).double().train(), net().double().train()
    functional.set_step_mode(hand, "m")
    for module in learner.modules():
        if isinstance(module, layer.Dropout):
            module.p = 0.0
    ours, theirs = list(learner.model.named_parameters()), matched(learner.model, hand)
    for (_, mine), their in zip(ours, theirs, strict=True):
        their.data.copy_(mine.data)
    frames = [T] if config.dataset.timesteps_in_data else []
    x = 2 * torch.rand(N, *frames, *shape, generator=generator(0, "data"), dtype=torch.float64)
    index = torch.arange(N)
    shown = pooled(x, config.dataset.shape) if "pixels" in str(changes) else x
    outputs = learner.framework(learner.model, shown)
    learner.loss(outputs, Batch(shown, index, None, index, index)).backward()
    seen = x.transpose(0, 1) if frames else x.expand(T, *x.shape)
    loss(hand(seen), index).backward()
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, their.grad, rtol=1e-6, atol=1e-12), name
    assert sum(their.grad.abs().sum() > 0 for their in theirs) > len(theirs) / 2


def pooled(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x [N,T,C,16,16] → [N,T,*shape], of which each average over 8×8 pixels is a pixel of x."""
    return x.repeat_interleave(shape[1] // 16, -2).repeat_interleave(shape[2] // 16, -1)


def matched(ours: nn.Module, hand: nn.Module) -> list[nn.Parameter]:
    """The parameters of the network by hand, in our order. Both are trees in the order of the paper's layers."""
    theirs = list(hand.parameters())
    assert [tuple(each.shape) for each in ours.parameters()] == [tuple(each.shape) for each in theirs]
    return theirs
