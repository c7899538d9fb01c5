"""The gradients of rows with parallel spiking neurons, and with a scale of each timestep, equal matrices by hand."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from paper_nets import Leak, T, Triangle, assert_same_gradients, conv, of_mean, resnet19, vggsnn
from spikingjelly.activation_based import layer, surrogate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class Parallel(nn.Module):
    """h = W·x + b over time, o = Θ(h), x [T,N,…] (Fang et al. 2023, arXiv:2304.12760, eq. 8)."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(timesteps, timesteps))
        self.bias = nn.Parameter(torch.empty(timesteps, 1))
        self.spike = surrogate.ATan()

    def forward(self, x: Tensor) -> Tensor:
        h = torch.einsum("ts,s...->t...", self.weight, x) + self.bias.reshape(-1, *[1] * (x.dim() - 1))
        return self.spike(h)


class Sliding(nn.Module):
    """h[t] = w₀·x[t−1] + w₁·x[t] + b, o = Θ(h) (eq. 12, order 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(2)), nn.Parameter(torch.empty(()))
        self.spike = surrogate.ATan()

    def forward(self, x: Tensor) -> Tensor:
        before = torch.cat((torch.zeros_like(x[:1]), x[:-1]))
        return self.spike(self.weight[0] * before + self.weight[1] * x + self.bias)


class Scaled(nn.Module):
    """Batch norm over N and T, then p[t] times timestep t (Duan et al. 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.norm = nn.Parameter(torch.empty(T)), layer.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) * self.scale.reshape(-1, 1, 1, 1, 1)


def smoothed(outputs: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(outputs.mean(0), y, label_smoothing=0.1)


def of_each(outputs: Tensor, y: Tensor) -> Tensor:
    return torch.stack([cross_entropy(each, y) for each in outputs]).mean()


def six_convolutions(dims: int, fire: Callable[[], nn.Module]) -> nn.Module:
    """Two times three convolutions of two channels and an average pool; 8 × 8 pixels or 8 of a line remain."""
    pool = (layer.AvgPool1d, layer.AvgPool2d)[dims - 1](2)
    convolutions = [conv(3 if number == 0 else 2, 2, fire, dims=dims) for number in range(6)]
    head = [layer.Flatten(), layer.Linear(2 * 8**dims, 8), fire(), layer.Linear(8, 10)]
    return nn.Sequential(*convolutions[:3], pool, *convolutions[3:], pool, *head)


class Soft(nn.Module):
    """v[t] = v[t−1] + (x[t] − v[t−1])/2 − o[t−1], no gradient through the reset."""

    def __init__(self) -> None:
        super().__init__()
        self.spike = surrogate.ATan()

    def forward(self, x: Tensor) -> Tensor:
        v, outputs = torch.zeros_like(x[0]), []
        for each in x:
            v = v + (each - v) / 2
            outputs.append(self.spike(v - 1))
            v = v - outputs[-1].detach()
        return torch.stack(outputs)


NARROW = ["model.filters=[2,2,2,2,2,2]", "model.fc_units=[8]"]


@pytest.mark.parametrize(
    ("row", "timesteps", "fire"),
    [
        ("psn/cifar10", 4, partial(Parallel, 4)),
        ("psn/sequential_cifar10", 32, partial(Parallel, 32)),
        ("psn/sequential_cifar10_lif", 32, Soft),
    ],
)
def test_convolutions(row: str, timesteps: int, fire: Callable[[], nn.Module]) -> None:
    shape = (3, 32, 32) if timesteps == 4 else (3, 32)  # a column a timestep
    hand = six_convolutions(len(shape) - 1, fire)
    assert_same_gradients(row, NARROW, hand, shape, smoothed, timesteps)


def test_vggsnn_with_sliding_neurons() -> None:
    changes = ["model.channels=2", "model.pixels=16"]
    assert_same_gradients("psn/vggsnn_cifar10_dvs", changes, vggsnn(Sliding), (2, 16, 16), of_each)


def test_resnet_with_a_scale_of_each_timestep() -> None:
    hand = resnet19(partial(Leak, 0.5, 1.0, Triangle), Scaled)
    assert_same_gradients("tebn/resnet19_cifar10", ["model.channels=2"], hand, (3, 32, 32), of_mean)
