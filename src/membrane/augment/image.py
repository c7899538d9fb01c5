"""Augmentations of images, event frames and signals in space. Channels, polarities among them, are not exchanged."""

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, broadcast


class HorizontalFlip(Augmentation):
    """x [M,C,S] or [M,C,H,W] → mirrored along S or W with ``probability``, otherwise unchanged."""

    def __init__(
        self, *, probability: float = 0.5, evaluate: bool = False, before: bool = False, after: bool = True
    ) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not 0 <= probability <= 1:
            raise self.refusal(f"probability must be in [0, 1], got {probability}")
        self.probability = probability

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw flip [n], true with ``probability``."""
        return {"flip": torch.rand(n, generator=generator, device=generator.device) < self.probability}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Mirror x [M,C,…] where flip [M] is true → [M,C,…]."""
        return torch.where(broadcast(parameters["flip"], x), x.flip(-1), x)

    def extra_repr(self) -> str:
        return f"probability={self.probability}"


class Shift(Augmentation):
    """x [M,C,S] or [M,C,H,W] → moved by −``pixels`` to ``pixels`` whole pixels along each axis, filled with 0."""

    def __init__(self, *, pixels: int, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not isinstance(pixels, int) or pixels < 0:
            raise self.refusal(f"pixels must be a whole number of at least 0, got {pixels}")
        self.pixels = pixels

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw offset [n,2] along (H, W), positive down and right; a signal uses the second."""
        low, high = -self.pixels, self.pixels + 1
        return {"offset": torch.randint(low, high, (n, 2), generator=generator, device=generator.device)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Move x [M,C,…] by offset [M,2] → [M,C,…]."""
        for axis in spatial_axes(x):
            size = x.shape[axis]
            source = torch.arange(size, device=x.device) - parameters["offset"][:, axis, None]
            outside = per_position(axis, (source < 0) | (source >= size), x)
            x = torch.take_along_dim(x, per_position(axis, source.clamp(0, size - 1), x), axis).masked_fill(outside, 0)
        return x

    def extra_repr(self) -> str:
        return f"pixels={self.pixels}"


class Cutout(Augmentation):
    """x [M,C,S] or [M,C,H,W] → the same with a segment or square of ``size`` pixels a side set to 0 in all channels.

    Its centre is uniform over all pixels; what lies beyond the border is cut off (DeVries & Taylor 2017,
    arXiv:1708.04552).
    """

    def __init__(self, *, size: int, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not isinstance(size, int) or size < 0:
            raise self.refusal(f"size must be a whole number of at least 0, got {size}")
        self.size = size

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw centre [n,2] along (H, W) as fractions of the image in [0, 1); a signal uses the second."""
        return {"centre": torch.rand(n, 2, generator=generator, device=generator.device)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Cut squares at centre [M,2] out of x [M,C,…] → [M,C,…]."""
        hole = torch.ones((), dtype=torch.bool, device=x.device)
        for axis in spatial_axes(x):
            size = x.shape[axis]
            first = (parameters["centre"][:, axis, None] * size).long() - self.size // 2
            position = torch.arange(size, device=x.device)
            hole = hole & per_position(axis, (position >= first) & (position < first + self.size), x)
        return x.masked_fill(hole, 0)

    def extra_repr(self) -> str:
        return f"size={self.size}"


def spatial_axes(x: Tensor) -> tuple[int, ...]:
    """Return the spatial axes: of [M,C,S] the last, of [M,C,H,W] the last two. Raises ValueError for another rank."""
    if x.dim() not in (3, 4):
        raise ValueError(f"an image augmentation needs x as [M,C,S] or [M,C,H,W], got {list(x.shape)}")
    return (-1,) if x.dim() == 3 else (-2, -1)


def per_position(axis: int, values: Tensor, x: Tensor) -> Tensor:
    """Reshape values [M,L] to broadcast over x [M,…], with L at ``axis`` → [M,1,…]."""
    shape = [len(x)] + [1] * (x.dim() - 1)
    shape[axis] = values.shape[1]
    return values.reshape(shape)
