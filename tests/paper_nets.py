"""Networks of papers written by hand, narrow ones, and the comparison of a row's gradients with theirs."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from configurations import configured
from spikingjelly.activation_based import functional, layer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from membrane.data.feed.batch import Batch
from membrane.framework import MultiStepTID
from membrane.randomness import generator
from membrane.training.assembly import build_learner

N, T = 6, 4
CONV = (layer.Conv1d, layer.Conv2d)
NORM = (layer.BatchNorm1d, layer.BatchNorm2d)
Fire = Callable[[], nn.Module]


def conv(
    inputs: int,
    outputs: int,
    fire: Fire,
    window: int = 3,
    bias: bool = False,
    dims: int = 2,
    stride: int = 1,
    padding: int | None = None,
) -> nn.Module:
    padding = window // 2 if padding is None else padding
    weights = CONV[dims - 1](inputs, outputs, window, stride, padding, bias=bias)
    return nn.Sequential(weights, NORM[dims - 1](outputs), fire())


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


def vggsnn(fire: Fire) -> nn.Module:
    widths, modules = [2, 2, 4, 8, 8, 16, 16, 16, 16], list[nn.Module]()
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        modules.append(conv(inputs, outputs, fire, bias=True))
        modules += [layer.AvgPool2d(2)] * (number % 2)
    return nn.Sequential(*modules, layer.Flatten(), layer.Linear(16, 10))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, fire: Fire, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        first, second = (layer.Conv2d(a, outputs, 3, s, 1, bias=False) for a, s in ((inputs, stride), (outputs, 1)))
        self.main = nn.Sequential(first, norm(outputs), fire(), second, norm(outputs))
        change = [layer.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs)]
        self.shortcut = nn.Sequential(*change if inputs != outputs else [])
        self.fire = fire()

    def forward(self, x: Tensor) -> Tensor:
        return self.fire(self.main(x) + self.shortcut(x))


def resnet19(fire: Fire, norm: Callable[[int], nn.Module] = layer.BatchNorm2d) -> nn.Module:
    sizes = ((2, 4, 1), (4, 4, 1), (4, 4, 1), (4, 8, 2), (8, 8, 1), (8, 8, 1), (8, 16, 2), (16, 16, 1))
    stem = [layer.Conv2d(3, 2, 3, padding=1, bias=False), norm(2), fire()]
    blocks = [Block(*each, fire, norm) for each in sizes]
    head = [layer.AdaptiveAvgPool2d(1), layer.Flatten(), layer.Linear(16, 8), fire(), layer.Linear(8, 10)]
    return nn.Sequential(*stem, *blocks, *head)


def squares(outputs: Tensor, y: Tensor) -> Tensor:
    return mse_loss(outputs.mean(0), one_hot(y, outputs.shape[2]).to(outputs.dtype))


def of_mean(outputs: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(outputs.mean(0), y)


def assert_same_gradients(
    row: str,
    changes: Sequence[str],
    hand: nn.Module,
    shape: Sequence[int],
    loss: Callable[[Tensor, Tensor], Tensor],
    timesteps: int = T,
    x: Tensor | None = None,
) -> None:
    """Check that a row's gradients are those of its network by hand, a tree in the order of our parameters.

    Both see x [N,C,…] of ``shape``, or [N,T,C,…] where the data have timesteps; dropout and augmentations are off.
    """
    config = configured(f"experiment={row}", *changes, f"timesteps={timesteps}", "trainer=cpu")
    learner, hand = build_learner(config).double().train(), hand.double().train()
    functional.set_step_mode(hand, "m")
    for module in learner.modules():
        if isinstance(module, layer.Dropout):
            module.p = 0.0
    ours, theirs = list(learner.model.named_parameters()), list(hand.parameters())
    assert [tuple(each.shape) for _, each in ours] == [tuple(each.shape) for each in theirs]
    for (_, mine), their in zip(ours, theirs, strict=True):
        their.data.copy_(mine.data)
    frames = [timesteps] if isinstance(learner.framework, MultiStepTID) else []
    if x is None:
        x = 2 * torch.rand(N, *frames, *shape, generator=generator(0, "data"), dtype=torch.float64)
    index = torch.arange(N)
    shown = enlarged(x, config.dataset.shape) if "pixels" in str(changes) else x
    outputs = learner.framework(learner.model, shown)
    learner.loss(outputs, Batch(shown, index, None, index, index)).backward()
    seen = x.transpose(0, 1) if frames else x.expand(timesteps, *x.shape)
    loss(hand(seen), index).backward()
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, their.grad, rtol=1e-6, atol=1e-12), name
    assert sum(their.grad.abs().sum() > 0 for their in theirs) > len(theirs) / 2


def enlarged(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x [N,T,C,16,16] → [N,T,*shape], of which each average over 8×8 pixels is a pixel of x."""
    return x.repeat_interleave(shape[1] // 16, -2).repeat_interleave(shape[2] // 16, -1)
