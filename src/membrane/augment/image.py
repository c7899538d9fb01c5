"""Augmentations of images, event frames and signals in space, by whole pixels. Channels are not exchanged."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from membrane.augment.augmentation import Augmentation, broadcast


class HorizontalFlip(Augmentation):
    """x [M,C,S] or [M,C,H,W] → mirrored along S or W with ``probability``, otherwise unchanged."""

    view = "channels"

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

    view = "channels"

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
        return moved(x, parameters["offset"], self.pixels)

    def extra_repr(self) -> str:
        return f"pixels={self.pixels}"


class Roll(Shift):
    """x [M,C,S] or [M,C,H,W] → moved as by `Shift`, by up to ``pixels``; what leaves enters at the opposite border."""

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Roll x [M,C,…] by offset [M,2] → [M,C,…]."""
        return moved(x, parameters["offset"], self.pixels, wrap=True)


class Cutout(Augmentation):
    """x [M,C,S] or [M,C,H,W] → the same with a segment or square of ``size`` pixels a side set to 0 in all channels.

    Its centre is uniform over all pixels; what lies beyond the border is cut off (DeVries & Taylor 2017,
    arXiv:1708.04552). With ``smallest`` its side is uniform over the whole numbers from that to ``size``.
    """

    view = "channels"

    def __init__(
        self,
        *,
        size: int,
        smallest: int | None = None,
        evaluate: bool = False,
        before: bool = False,
        after: bool = True,
    ) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not isinstance(size, int) or size < 0:
            raise self.refusal(f"size must be a whole number of at least 0, got {size}")
        if smallest is not None and not (isinstance(smallest, int) and 0 <= smallest <= size):
            raise self.refusal(f"smallest must be a whole number from 0 to size={size}, got {smallest}")
        self.size, self.smallest = size, smallest

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw centre [n,2] along (H, W) as fractions of the image in [0, 1); a signal uses the second.

        With ``smallest`` draw sides [n,1] too.
        """
        parameters = {"centre": torch.rand(n, 2, generator=generator, device=generator.device)}
        if self.smallest is not None:
            low, high = self.smallest, self.size + 1
            parameters["sides"] = torch.randint(low, high, (n, 1), generator=generator, device=generator.device)
        return parameters

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Cut squares at centre [M,2] out of x [M,C,…], of sides [M,1] if they were drawn → [M,C,…]."""
        return torch.where(rectangle(x, parameters["centre"], parameters.get("sides", self.size)), 0, x)

    def extra_repr(self) -> str:
        return f"size={self.size}" + ("" if self.smallest is None else f", smallest={self.smallest}")


def moved(x: Tensor, offset: Tensor, reach: int, wrap: bool = False) -> Tensor:
    """Move x [M,C,…] by offset [M,2] along (H, W), at most ``reach`` pixels → [M,C,…], filled with 0 or ``wrap``ped.

    Each result is a window of its sample with margins around it, copied in whole rows.
    """
    axes = spatial_axes(x)
    sizes = [x.shape[axis] for axis in axes]
    margins = [min(reach, size) for size in sizes]
    borders = [margin for margin in reversed(margins) for _ in ("before", "behind")]
    windows = functional.pad(x, borders, mode="circular" if wrap else "constant")
    index: list[Tensor | slice] = [torch.arange(len(x), device=x.device), slice(None)]
    for axis, size, margin in zip(axes, sizes, margins, strict=True):
        windows = windows.unfold(x.dim() + axis, size, 1)
        steps = offset[:, axis].fmod(size) if wrap else offset[:, axis].clamp(-margin, margin)
        index.append(margin - steps)
    return windows[tuple(index)]


def rectangle(x: Tensor, centre: Tensor, sides: Tensor | int) -> Tensor:
    """Return which pixels of x [M,C,…] lie in a rectangle around centre [M,2] → bool [M,1,…].

    The centre is along (H, W), as fractions of the image in [0, 1). Sides are in pixels, [M,2], [M,1] for squares or
    one for all; a signal uses the last. What lies beyond the border is left out.
    """
    inside = torch.ones((), dtype=torch.bool, device=x.device)
    for axis in spatial_axes(x):
        size = x.shape[axis]
        side = sides if isinstance(sides, int) else sides[:, max(axis, -sides.shape[1]), None]
        first = (centre[:, axis, None] * size).long() - side // 2
        position = torch.arange(size, device=x.device)
        inside = inside & per_position(axis, (position >= first) & (position < first + side), x)
    return inside


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
