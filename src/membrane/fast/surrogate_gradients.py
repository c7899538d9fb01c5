"""Derivatives of surrogates for the fused neurons, in C and in torch."""

import math
from typing import Any

import torch
from torch import Tensor, nn

HOMES = ("spikingjelly.activation_based.surrogate", "membrane.neurons.surrogates")

# For each surrogate whose spike is Heaviside's step: a statement of C that sets g from u, the potential above the
# threshold, and the parameters p and q, whose names follow. Without a statement the derivative is torch's.
C_DERIVATIVES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ATan": ("float z = 1.57079633f * p * u; g = 0.5f * p / (1.0f + z * z);", ("alpha",)),
    "Sigmoid": ("float z = 1.0f / (1.0f + exponential(-p * u)); g = (1.0f - z) * z * p;", ("alpha",)),
    "PiecewiseQuadratic": ("float z = p - p * p * fabsf(u); g = z > 0.0f ? z : 0.0f;", ("alpha",)),
    "PiecewiseExp": ("g = 0.5f * p * exponential(-p * fabsf(u));", ("alpha",)),
    "SoftSign": ("float z = 1.0f / p + fabsf(u); g = 1.0f / (2.0f * p * z * z);", ("alpha",)),
    "SuperSpike": ("float z = 1.0f + fabsf(u); g = p / (z * z);", ("alpha",)),
    "NonzeroSignLogAbs": ("g = 1.0f / (1.0f / p + fabsf(u));", ("alpha",)),
    "Erf": ("float z = p * u; g = p * 0.56418958f * exponential(-z * z);", ("alpha",)),
    "PiecewiseLeakyReLU": ("g = fabsf(u) < p ? 0.5f / p : q;", ("w", "c")),
    "S2NN": (
        "float z = 1.0f / (1.0f + exponential(-p * u)); g = u < 0.0f ? p * z * (1.0f - z) : q / (u + 1.0f);",
        ("alpha", "beta"),
    ),
    "LeakyKReLU": ("g = u >= 0.0f ? p : q;", ("k", "leak")),
    "FakeNumericalGradient": ("float z = 1.0f / fabsf(u); g = z < p ? z : p;", ("alpha",)),
    "LogTailedReLU": ("g = u > 1.0f ? 1.0f / u : u <= 0.0f ? p : 1.0f;", ("alpha",)),
    "Rect": ("g = fabsf(u) < 0.5f / p ? p : 0.0f;", ("alpha",)),
    "DeterministicPass": ("g = 1.0f;", ()),
    "FastSigmoid": ("float z = 1.0f + p * fabsf(u); g = 1.0f / (z * z);", ("alpha",)),
    "Slayer": ("g = 0.5f * p * q * exponential(-p * fabsf(u));", ("alpha", "c")),
    "Boxcar": ("g = fabsf(u) <= 0.5f * p ? q : 0.0f;", ("width", "height")),
    "SquarewaveFourierSeries": ("", ()),
    "QPseudoSpike": ("", ()),
}


def derivative_parameters(surrogate: nn.Module) -> tuple[float, float] | None:
    """Return p and q of a surrogate in the table; None for another one, or for parameters that are tensors."""
    surrogate_class = type(surrogate)
    name = surrogate_class.__name__
    if surrogate_class.__module__ not in HOMES or name not in C_DERIVATIVES or not surrogate.spiking:
        return None
    values = [getattr(surrogate, parameter) for parameter in C_DERIVATIVES[name][1]]
    if not all(isinstance(value, int | float) for value in values):
        return None
    p, q = [float(value) for value in values] + [0.0] * (2 - len(values))
    return p, q


def derivative(surrogate: nn.Module, u: Tensor) -> Tensor:
    """Return the surrogate's derivative at u, in the shape of u, which is overwritten if that is faster."""
    in_place: dict[str, Any] = {"ATan": atan_, "Sigmoid": sigmoid_}
    if type(surrogate).__name__ in in_place:
        values: Tensor = in_place[type(surrogate).__name__](u, float(surrogate.alpha))  # type: ignore[arg-type]
        return values
    with torch.enable_grad():
        point = u.detach().requires_grad_()
        [slope] = torch.autograd.grad(surrogate(point), point, torch.ones_like(u))
    return slope


def atan_(u: Tensor, alpha: float) -> Tensor:
    """Compute α/2 / (1 + (π·α·u/2)²) in place."""
    return u.mul_(math.pi / 2 * alpha).square_().add_(1).reciprocal_().mul_(alpha / 2)


def sigmoid_(u: Tensor, alpha: float) -> Tensor:
    """Compute α·σ·(1 − σ) with σ = sigmoid(α·u), in place."""
    s = u.mul_(alpha).sigmoid_()
    return s.addcmul_(s, s, value=-1).mul_(alpha)
