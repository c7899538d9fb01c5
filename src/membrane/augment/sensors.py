"""Augmentations of the values of signals: how strong they are, and how the sensor was turned."""

import math
from typing import Unpack

import torch
from torch import Generator, Tensor
from torch.nn import functional

from membrane.augment.augmentation import Augmentation, When, broadcast


class Amplitude(Augmentation):
    """x [N,…] → times a factor for each sample, uniform from ``low`` to ``high``."""

    collapse_timesteps = False

    def __init__(self, *, low: float = 0.8, high: float = 1.2, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not -math.inf < low <= high < math.inf:
            raise self.refusal(f"needs finite numbers, low at most high, got low={low}, high={high}")
        self.low, self.high = low, high

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw factor [n]."""
        uniform = torch.rand(n, generator=generator, device=generator.device)
        return {"factor": self.low + (self.high - self.low) * uniform}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Multiply x [N,…] by factor [N] → [N,…]."""
        return x * broadcast(parameters["factor"], x).to(x.dtype)

    def extra_repr(self) -> str:
        return f"low={self.low:g}, high={self.high:g}"


class SensorRotation(Augmentation):
    """x [M,C,S] → each three channels (x, y, z of one sensor) rotated in space, all by the same rotation.

    This is what rotation means for a signal: the sensor was worn another way (Um et al. 2017, arXiv:1706.00527). The
    axis is uniform over the sphere, the angle U(−``degrees``, ``degrees``). `Roll` moves a signal round in a circle.
    """

    def __init__(self, *, degrees: float = 180, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not 0 <= degrees <= 180:
            raise self.refusal(f"degrees must be from 0 to 180, got {degrees}")
        self.degrees = degrees

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw axis [n,3] of length 1 and angle [n] in degrees."""
        axis = torch.randn(n, 3, generator=generator, device=generator.device)
        uniform = torch.rand(n, generator=generator, device=generator.device)
        return {"axis": functional.normalize(axis, dim=1), "angle": self.degrees * (2 * uniform - 1)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Rotate the triples of x [M,C,S] by angle [M] about axis [M,3] → [M,C,S]. Raises ConfigError for other C."""
        if x.dim() != 3 or x.shape[1] % 3:
            raise self.refusal(f"is for signals [M,C,S] of 3, 6, 9 … channels, got {list(x.shape)}")
        triples = x.reshape(len(x), -1, 3, x.shape[-1])
        axis = parameters["axis"][:, None, :, None].to(x.dtype).expand_as(triples)
        angle = broadcast(parameters["angle"].deg2rad(), triples).to(x.dtype)
        # Rodrigues' formula
        along = (axis * triples).sum(2, keepdim=True) * axis
        turned = along + angle.cos() * (triples - along) + angle.sin() * torch.cross(axis, triples, dim=2)
        return turned.reshape(x.shape)

    def extra_repr(self) -> str:
        return f"degrees={self.degrees:g}"
