"""Neuromorphic Data Augmentation (Li et al. 2022, arXiv:2203.06145): a flip, then some of four geometric operations."""

from typing import Literal, NamedTuple, Unpack

import torch
from torch import Generator, Tensor

from membrane.augment.affine import Rotation, Shear
from membrane.augment.augmentation import Augmentation, When
from membrane.augment.image import Cutout, HorizontalFlip, Roll


class Bounds(NamedTuple):
    """The largest values at a magnitude: pixels of rolling, degrees of rotation and shear, a cutout's side."""

    pixels: int
    degrees: float
    side: int


BOUNDS = {1: Bounds(3, 15, 8), 2: Bounds(5, 30, 16), 3: Bounds(7, 45, 24)}
"""Magnitude M → bounds, for frames of 48 × 48 pixels.

The first two rows of rolling, rotation and shear are those of the authors' published code (N-Caltech101, CIFAR10-DVS),
the second cutout that of a published reproduction; the others go on in equal steps.
"""


class NDA(Augmentation):
    """x [M,C,H,W] → mirrored with probability ½, then changed by ``operations`` of four, chosen for each sample.

    The four are rolling, rotation, shear along rows and cutout, applied in this order, each with values uniform within
    the bounds of ``magnitude``: M in the paper, where ``operations`` is N. Pixels are not interpolated, so that counts
    stay whole.
    """

    view = "channels"

    def __init__(self, *, magnitude: Literal[1, 2, 3] = 1, operations: int = 1, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if magnitude not in BOUNDS or operations not in (1, 2, 3, 4):
            raise self.refusal(f"needs magnitude from 1 to 3 and operations from 1 to 4, got {magnitude}, {operations}")
        self.magnitude, self.operations, bounds = magnitude, operations, BOUNDS[magnitude]
        self.flip = HorizontalFlip()
        self.four: dict[str, Augmentation] = {
            "roll": Roll(pixels=bounds.pixels),
            "rotate": Rotation(degrees=bounds.degrees, interpolation="nearest"),
            "shear": Shear(degrees=bounds.degrees, interpolation="nearest"),
            "cut": Cutout(size=bounds.side, smallest=1),
        }

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw flip [n], chosen [n,4], which operations are applied, and what each of them draws, under its name."""
        parameters = self.flip.draw(n, generator)
        rank = torch.rand(n, len(self.four), generator=generator, device=generator.device).argsort(1)
        parameters["chosen"] = rank < self.operations
        for name, operation in self.four.items():
            parameters |= {f"{name}.{key}": value for key, value in operation.draw(n, generator).items()}
        return parameters

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Mirror x [M,C,H,W] where flip [M] is true and apply the operations chosen [M,4] → [M,C,H,W]."""
        x = self.flip.apply(x, parameters)  # a new tensor, so that it may be written to
        for (name, operation), chosen in zip(self.four.items(), parameters["chosen"].unbind(1), strict=True):
            rows, own = chosen.nonzero().flatten(), f"{name}."
            if len(rows):
                drawn = {key.removeprefix(own): value[rows] for key, value in parameters.items() if key.startswith(own)}
                x[rows] = operation.apply(x[rows], drawn)
        return x

    def extra_repr(self) -> str:
        return f"magnitude={self.magnitude}, operations={self.operations}"
