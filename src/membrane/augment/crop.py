"""Random crops. The result has the shape of the data, so that the model's input does not change."""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, When
from membrane.augment.image import moved, per_position, spatial_axes
from membrane.augment.resample import Interpolation, image_size, pixel_rows_and_columns, resampled


class Crop(Augmentation):
    """x [M,C,S] or [M,C,H,W] → a window at a random position of x with ``padding`` pixels of 0 around it.

    Without ``size`` the window is as large as x, as in the crop of He et al. 2016 (arXiv:1512.03385) on CIFAR with
    padding 4; a smaller one, of so many pixels a side or [H, W], comes to lie in the middle of 0.
    """

    view = "channels"

    def __init__(self, *, padding: int = 0, size: int | Sequence[int] | None = None, **when: Unpack[When]) -> None:
        super().__init__(**when)
        sizes = [] if size is None else [size] if isinstance(size, int) else list(size)
        if not isinstance(padding, int) or padding < 0 or not all(isinstance(each, int) and each > 0 for each in sizes):
            raise self.refusal(f"needs padding of at least 0 and size above 0, whole numbers, got {padding} and {size}")
        self.padding, self.size = padding, size

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw start [n,2] along (H, W) as fractions of the possible positions, in [0, 1); a signal uses the second."""
        return {"start": torch.rand(n, 2, generator=generator, device=generator.device)}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the first pixel [N,axes] of each window of x [N,C,…]; below 0 it lies in the padding."""
        first = [
            (parameters["start"][:, axis] * (x.shape[axis] + 2 * self.padding - size + 1)).long() - self.padding
            for axis, size in self.sizes(x)
        ]
        return {"first": torch.stack(first, 1)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Put the windows of x [M,C,…] that begin at first [M,axes] into the middle of 0 → [M,C,…]."""
        first, sizes = parameters["first"], self.sizes(x)
        middle = [(x.shape[axis] - size) // 2 for axis, size in sizes]
        reach = self.padding + max(x.shape[axis] - size for axis, size in sizes)
        x = moved(x, torch.stack([to - start for to, start in zip(middle, first.unbind(1), strict=True)], 1), reach)
        for (axis, size), begin in zip(sizes, middle, strict=True):
            if size < x.shape[axis]:
                position = torch.arange(x.shape[axis], device=x.device)
                inside = (position >= begin) & (position < begin + size)
                x = torch.where(per_position(axis, inside.expand(len(x), -1), x), x, 0)
        return x

    def sizes(self, x: Tensor) -> list[tuple[int, int]]:
        """Return (axis, pixels of the window) for each spatial axis of x [M,C,…]. Raises ConfigError if none fits."""
        axes = spatial_axes(x)
        sides = [x.shape[axis] for axis in axes]
        sizes = sides if self.size is None else [self.size] * len(axes) if isinstance(self.size, int) else self.size
        if len(sizes) != len(sides) or any(size > side for size, side in zip(sizes, sides, strict=True)):
            raise self.refusal(f"size={self.size} does not fit into {sides}")
        return list(zip(axes, sizes, strict=True))

    def extra_repr(self) -> str:
        return f"padding={self.padding}" + ("" if self.size is None else f", size={self.size}")


class ResizedCrop(Augmentation):
    """x [M,C,S] or [M,C,H,W] → a window of it, resized to the shape of x.

    The window's share of x is U(``smallest``, 1); of an image, the logarithm of width / height is uniform too, from
    that of 1/``ratio`` to that of ``ratio`` (Szegedy et al. 2015, arXiv:1409.4842). A side longer than the image is cut
    to it. ``interpolation`` is bilinear without antialiasing, or nearest, which keeps counts whole.
    """

    view = "channels"

    def __init__(
        self,
        *,
        smallest: float = 0.08,
        ratio: float = 4 / 3,
        interpolation: Interpolation = "bilinear",
        **when: Unpack[When],
    ) -> None:
        super().__init__(**when)
        if not (0 < smallest <= 1 and 1 <= ratio < math.inf):
            raise self.refusal(
                f"needs smallest above 0 and at most 1, and ratio of at least 1, got {smallest}, {ratio}"
            )
        self.smallest, self.ratio, self.interpolation = smallest, ratio, interpolation

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw share [n] of x, aspect [n] (width / height) and start [n,2] in [0, 1) along (H, W)."""
        uniform = torch.rand(n, 4, generator=generator, device=generator.device)
        return {
            "share": self.smallest + (1 - self.smallest) * uniform[:, 0],
            "aspect": self.ratio ** (2 * uniform[:, 1] - 1),
            "start": uniform[:, 2:],
        }

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the first pixel and the size [N,2] along (H, W) of each window of x [N,C,…]; a signal has H = 1."""
        share, aspect = parameters["share"], parameters["aspect"]
        height, width = image_size(x)
        columns = (share * height * width * aspect).sqrt() if x.dim() == 4 else share * width
        sizes = (columns / aspect).round().clamp(1, height), columns.round().clamp(1, width)
        possible = height - sizes[0] + 1, width - sizes[1] + 1
        first = [(parameters["start"][:, axis] * count).floor() for axis, count in enumerate(possible)]
        return {"first": torch.stack(first, 1), "size": torch.stack(sizes, 1)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Resize the windows of x [M,C,…] that begin at first [M,2] and have size [M,2] → [M,C,…]."""
        positions: list[Tensor] = []
        for axis, (pixel, length) in enumerate(zip(pixel_rows_and_columns(x), image_size(x), strict=True)):
            first, size = parameters["first"][:, axis, None, None], parameters["size"][:, axis, None, None]
            position = first + (pixel + 0.5) * size / length - 0.5
            # beyond the window's outermost pixels x would be looked at, not the window
            positions.append(position.clamp(first, first + size - 1))
        rows, columns = positions
        return resampled(x, rows, columns, self.interpolation)

    def extra_repr(self) -> str:
        return f"smallest={self.smallest:g}, ratio={self.ratio:g}, interpolation={self.interpolation}"
