"""The gradients of rows on the Spiking Heidelberg Digits equal those of loops over their papers' equations."""

import torch
from paper_nets import N, assert_same_gradients, of_mean
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


class Slayer(torch.autograd.Function):
    """u → 1 where u ≥ 0; the derivative is α·c/2 · exp(−α·|u|), α = 5, c = 0.4."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return gradient * torch.exp(-5 * u.abs())


class SymplecticAdaptive(nn.Module):
    """Potential h, u and adaptation w in symplectic Euler steps (Baronig et al. 2024, arXiv:2408.07517), q = 120."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("alpha", "beta", "a", "b"):
            self.register_parameter(name, nn.Parameter(torch.empty(channels)))
        self.between = nn.Parameter(torch.empty(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        between = self.between - self.between.diag().diag()
        u = w = s = torch.zeros_like(x[0])
        outputs = []
        for each in x:
            h = self.alpha * u + (1 - self.alpha) * (each + s @ between.T - w)
            s = Slayer.apply(h - 1)
            u = h * (1 - s)
            w = self.beta * w + (1 - self.beta) * 120 * (self.a * u + self.b * s)
            outputs.append(s)
        return torch.stack(outputs)


def test_feed_forward() -> None:
    hidden = [nn.Linear(700, 16), Leaky(), nn.Linear(16, 12), Leaky()]
    hand = nn.Sequential(nn.Flatten(2), *hidden, nn.Linear(12, 20), Leaky())
    assert_same_gradients("shd/ff", ["model.units=[16,12]"], hand, (1, 700), of_counts, T, spikes(700))


def test_symplectic_adaptive_neurons() -> None:
    first, second = (SymplecticAdaptive(width) for width in (20, 16))
    hand = nn.Sequential(nn.Flatten(2), nn.Linear(140, 20), first, nn.Linear(20, 16), second, nn.Linear(16, 20))
    assert_same_gradients("shd/se_adlif", ["model.units=[20,16]"], hand, (1, 140), of_mean, T, 20 * spikes(140))
