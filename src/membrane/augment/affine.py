"""Rotation, shear and scaling of images about their centre. What comes from beyond the border is 0."""

import math
from collections.abc import Sequence
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
        return rotation(angle)


class Shear(Turning):
    """x [M,C,H,W] → each row moved sideways by tan(angle) times its distance from the centre, the upper ones right.

    The angle is from U(−``degrees``, ``degrees``).
    """

    below = 90

    def matrix(self, angle: Tensor) -> Tensor:
        """Return the matrices [M,2,2] from a new pixel's (row, column) to the old one's, for angle [M] in radians."""
        zero, one = torch.zeros_like(angle), torch.ones_like(angle)
        return torch.stack([one, zero, angle.tan(), one], 1).reshape(-1, 2, 2)


class Affine(Augmentation):
    """x [M,C,H,W] → rotated and scaled about its centre, then moved by whole pixels.

    As torchvision's RandomAffine: the angle is from U(−``degrees``, ``degrees``), the factor from U(``scale``). Along
    each axis it moves by U(−``translate``, ``translate``) times the size, rounded.

    Arguments:
        degrees: the largest angle, at least 0.
        translate: the largest share of height and width, in [0, 1].
        scale: the smallest and the largest factor, both above 0; [1, 1], the default, keeps the size.
        interpolation: ``bilinear``, the default, or ``nearest``.
    """

    view = "channels"

    def __init__(
        self,
        *,
        degrees: float = 0.0,
        translate: float = 0.0,
        scale: Sequence[float] = (1.0, 1.0),
        interpolation: Interpolation = "bilinear",
        **when: Unpack[When],
    ) -> None:
        super().__init__(**when)
        if not (0 <= degrees < math.inf and 0 <= translate <= 1):
            raise self.refusal(f"degrees must be at least 0, translate 0 to 1, got {degrees} and {translate}")
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] < math.inf:
            raise self.refusal(f"scale must be the smallest and the largest factor, above 0, got {list(scale)}")
        self.degrees, self.translate, self.scale, self.interpolation = degrees, translate, tuple(scale), interpolation

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw angle [n] in degrees, shift [n,2] along (H, W) as shares of the size, and factor [n]."""
        angle, down, right, factor = torch.rand(4, n, generator=generator, device=generator.device)
        low, high = self.scale
        return {
            "angle": self.degrees * (2 * angle - 1),
            "shift": self.translate * (2 * torch.stack([down, right], 1) - 1),
            "factor": low + (high - low) * factor,
        }

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Map x [M,C,H,W] by angle [M], factor [M] and shift [M,2] → [M,C,H,W]. Raises ConfigError for signals."""
        if x.dim() != 4:
            raise self.refusal(f"is for images [M,C,H,W], got {list(x.shape)}")
        matrix = rotation(parameters["angle"].deg2rad()) / parameters["factor"][:, None, None]
        pixels = (parameters["shift"] * torch.tensor(x.shape[2:], device=x.device)).round()
        return turned(x, matrix, self.interpolation, pixels)

    def extra_repr(self) -> str:
        low, high = self.scale
        return f"degrees={self.degrees:g}, translate={self.translate:g}, scale={low:g} to {high:g}"


def rotation(angle: Tensor) -> Tensor:
    """Return the matrices [M,2,2] that turn (row, column) clockwise by angle [M] in radians."""
    return torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)


def turned(x: Tensor, matrix: Tensor, interpolation: Interpolation, shift: Tensor | None = None) -> Tensor:
    """Map x [M,C,H,W] about its centre, then move it by shift [M,2] in pixels → [M,C,H,W].

    matrix [M,2,2] leads from a new pixel to the old one.
    """
    height, width = image_size(x)
    rows, columns = pixel_rows_and_columns(x)
    middle = (height - 1) / 2, (width - 1) / 2
    entry = matrix[..., None, None]
    down, right = rows - middle[0], columns - middle[1]
    if shift is not None:
        down, right = (each - by[:, None, None] for each, by in zip((down, right), shift.unbind(1), strict=True))
    # no matrix product, which a GPU or autocast may compute with too few digits
    old = [row[:, 0] * down + row[:, 1] * right for row in entry.unbind(1)]
    return resampled(x, old[0] + middle[0], old[1] + middle[1], interpolation)
