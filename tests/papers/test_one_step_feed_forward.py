"""The gradients of the feed-forward row on the Spiking Heidelberg Digits equal those of a loop over its equations."""

import torch
from paper_nets import N, assert_same_gradients
from spikingjelly.activation_based import surrogate
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from membrane.randomness import generator

T = 12


def spikes(channels: int) -> Tensor:
    """x [N,T,1,channels]."""
    return (torch.rand(N, T, 1, channels, generator=generator(0, "data")) < 0.3).double()


class Leaky(nn.Module):
    """v[t] = 0.9·v[t−1] + x[t], o[t] = Θ(v[t] − 1), v[t] = v[t] − o[t] without a gradient, x [T,N,C]."""

    def __init__(self) -> None:
        super().__init__()
        self.spike = surrogate.ATan()

    def forward(self, x: Tensor) -> Tensor:
        v, outputs = torch.zeros_like(x[0]), []
        for each in x:
            v = 0.9 * v + each
            outputs.append(self.spike(v - 1))
            v = v - outputs[-1].detach()
        return torch.stack(outputs)


def of_counts(outputs: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(outputs.sum(0), y)


def test_feed_forward() -> None:
    hidden = [nn.Linear(700, 16), Leaky(), nn.Linear(16, 12), Leaky()]
    hand = nn.Sequential(nn.Flatten(2), *hidden, nn.Linear(12, 20), Leaky())
    assert_same_gradients("shd/ff", ["model.units=[16,12]"], hand, (1, 700), of_counts, T, spikes(700))
