"""Surrogate gradients that published recipes use and SpikingJelly lacks, each with its derivative at u = v − θ."""

from collections.abc import Callable

import torch
from spikingjelly.activation_based import surrogate
from torch import Tensor
from torch.autograd.function import FunctionCtx


class Step(torch.autograd.Function):
    """u [N,…] → 1 where u ≥ 0, else 0; the gradient is multiplied by ``derivative(u)``."""

    @staticmethod
    def forward(ctx: FunctionCtx, u: Tensor, derivative: Callable[[Tensor], Tensor]) -> Tensor:
        """Compare u [N,…] with 0 → spikes."""
        ctx.save_for_backward(u)
        ctx.derivative = derivative  # type: ignore[attr-defined]
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        """Multiply the gradient [N,…] of the spikes by the derivative → that of u."""
        (u,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * ctx.derivative(u), None  # type: ignore[attr-defined]


class OwnSurrogate(surrogate.SurrogateFunctionBase):  # type: ignore[misc]  # SpikingJelly has no types
    """u [N,…] → spikes, with the derivative that a subclass defines."""

    def forward(self, u: Tensor) -> Tensor:
        """Fire where u [N,…] ≥ 0 → spikes."""
        spikes: Tensor = Step.apply(u, self.derivative)  # type: ignore[no-untyped-call]
        return spikes

    def derivative(self, u: Tensor) -> Tensor:
        """Return the derivative at u [N,…]."""
        raise NotImplementedError


class FastSigmoid(OwnSurrogate):
    """1 / (1 + α·|u|)², snnTorch's fast sigmoid (Zenke, Ganguli 2018, arXiv:1705.11146)."""

    alpha: float

    def __init__(self, alpha: float = 25.0) -> None:
        super().__init__(alpha=alpha)

    def derivative(self, u: Tensor) -> Tensor:
        """Return the derivative at u [N,…]."""
        return (u.abs() * self.alpha + 1).square().reciprocal()


class Slayer(OwnSurrogate):
    """c·α/2 · exp(−α·|u|), with the gain c (Shrestha, Orchard 2018, arXiv:1810.08646)."""

    alpha: float
    c: float

    def __init__(self, alpha: float = 5.0, c: float = 0.4) -> None:
        super().__init__(alpha=alpha, c=c)

    def derivative(self, u: Tensor) -> Tensor:
        """Return the derivative at u [N,…]."""
        return (u.abs() * -self.alpha).exp() * (0.5 * self.c * self.alpha)


class Boxcar(OwnSurrogate):
    """``height`` where |u| ≤ width/2, else 0 (Bittar, Garner 2022, doi:10.3389/fnins.2022.865897)."""

    width: float
    height: float

    def __init__(self, width: float = 1.0, height: float = 0.5) -> None:
        super().__init__(width=width, height=height)

    def derivative(self, u: Tensor) -> Tensor:
        """Return the derivative at u [N,…]."""
        return (u.abs() <= 0.5 * self.width).to(u.dtype) * self.height
