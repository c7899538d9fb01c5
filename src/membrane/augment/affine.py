"""Rotation and shear of images about their centre. What comes from beyond the border is 0."""

import math
from typing import Unpack

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, When
from membrane.augment.resample import Interpolation, image_size, pixel_rows_and_columns, resampled


class Turning(Augmentation):
    """The base of augmentations that map each image by a matrix of one angle from U(−``degrees``, ``degrees``)."""

    view = "channels"
    below: float = math.inf
    """What ``degrees`` must be below."""

    def __init__(self, *, degrees: float, interpolation: Interpolation = "bilinear", **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not 0 <= degrees < self.below:
            raise self.refusal(f"degrees must be at least 0 and below {self.below:g}, got {degrees}")
        self.degrees, self.interpolation = degrees, interpolation

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw angle [n] in degrees."""
        uniform = torch.rand(n, generator=generator, device=generator.device)
        return {"angle": self.degrees * (2 * uniform - 1)}

    def matrix(self, angle: Tensor) -> Tensor:
        """Return the matrices [M,2,2] from a new pixel's (row, column) to the old one's, for angle [M] in radians."""
        raise NotImplementedError

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Map x [M,C,H,W] by angle [M] → [M,C,H,W]. Raises ConfigError for signals."""
        if x.dim() != 4:
            raise self.refusal(f"is for images [M,C,H,W], got {list(x.shape)}")
        return turned(x, self.matrix(parameters["angle"].deg2rad()), self.interpolation)

    def extra_repr(self) -> str:
        return f"degrees={self.degrees:g}, interpolation={self.interpolation}"


class Rotation(Turning):
    """x [M,C,H,W] → rotated about its centre by an angle from U(−``degrees``, ``degrees``), positive anticlockwise."""

    def matrix(self, angle: Tensor) -> Tensor:
        """Return the matrices [M,2,2] from a new pixel's (row, column) to the old one's, for angle [M] in radians."""
        return torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)


class Shear(Turning):
    """x [M,C,H,W] → each row moved sideways by tan(angle) times its distance from the centre, the upper ones right.

    The angle is from U(−``degrees``, ``degrees``).
    """

    below = 90

    def matrix(self, angle: Tensor) -> Tensor:
        """Return the matrices [M,2,2] from a new pixel's (row, column) to the old one's, for angle [M] in radians."""
        zero, one = torch.zeros_like(angle), torch.ones_like(angle)
        return torch.stack([one, zero, angle.tan(), one], 1).reshape(-1, 2, 2)


def turned(x: Tensor, matrix: Tensor, interpolation: Interpolation) -> Tensor:
    """Map x [M,C,H,W] about its centre; matrix [M,2,2] leads from a new pixel to the old one → [M,C,H,W]."""
    height, width = image_size(x)
    rows, columns = pixel_rows_and_columns(x)
    middle = (height - 1) / 2, (width - 1) / 2
    entry = matrix[..., None, None]
    # no matrix product, which a GPU or autocast may compute with too few digits
    old = entry[:, :, 0] * (rows - middle[0]) + entry[:, :, 1] * (columns - middle[1])
    return resampled(x, old[:, 0] + middle[0], old[:, 1] + middle[1], interpolation)
