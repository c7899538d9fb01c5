"""Masks over time and over frequency: SpecAugment (Park et al. 2019, arXiv:1904.08779)."""

from typing import Unpack

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, When
from membrane.augment.temporal import per_step


class Mask(Augmentation):
    """The base of masks: ``masks`` stretches of an axis, each of a width uniform over 0 to ``width``, set to 0."""

    collapse_timesteps = False
    view = "time"

    def __init__(self, *, width: int, masks: int = 1, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not (isinstance(width, int) and isinstance(masks, int) and width >= 0 and masks >= 1):
            raise self.refusal(
                f"needs whole numbers, width of at least 0 and masks of at least 1, got {width}, {masks}"
            )
        self.width, self.masks = width, masks

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw width and start [n,masks], as shares in [0, 1) of what is possible."""
        uniform = torch.rand(n, self.masks, 2, generator=generator, device=generator.device)
        return {"width": uniform[..., 0], "start": uniform[..., 1]}

    def covered(self, size: int, end: Tensor, widest: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Return which of ``size`` positions are masked → [N,size]: up to ``widest`` [N] of the first ``end`` [N]."""
        width = (parameters["width"] * (widest[:, None] + 1)).floor()
        start = (parameters["start"] * (end[:, None] - width + 1)).floor()
        position = torch.arange(size, device=width.device)
        return ((position >= start[..., None]) & (position < (start + width)[..., None])).any(1)

    def extra_repr(self) -> str:
        return f"width={self.width}, masks={self.masks}"


class TimeMask(Mask):
    """x [N,L,…] → ``masks`` stretches of its valid steps set to 0, each of 0 to ``width`` steps.

    None is wider than ``share`` of the valid steps. Time is T or, where data have no timesteps, the last axis.
    """

    def __init__(self, *, width: int, masks: int = 1, share: float = 1.0, **when: Unpack[When]) -> None:
        super().__init__(width=width, masks=masks, **when)
        if not 0 < share <= 1:
            raise self.refusal(f"share must be above 0 and at most 1, got {share}")
        self.share = share

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the masked steps of x [N,L,…] → masked [N,L]."""
        widest = (self.share * lengths).floor().clamp(max=self.width)
        return {"masked": self.covered(x.shape[1], lengths, widest, parameters)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Set the steps masked [N,L] of x [N,L,…] to 0 → [N,L,…]."""
        return torch.where(per_step(parameters["masked"], x), 0, x)

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", share={self.share:g}" if self.share < 1 else "")


class FrequencyMask(Mask):
    """x [N,L,…,F] → ``masks`` bands of frequencies set to 0 at all times, each of 0 to ``width`` of the F frequencies.

    Frequencies are S of timesteps in the data [N,T,C,S]; without timesteps C of a signal [N,C,S], or H of a spectrogram
    [N,C,H,W].
    """

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the masked frequencies of x [N,L,…,F] → masked [N,F]."""
        bands = torch.full_like(lengths, x.shape[-1])
        return {"masked": self.covered(x.shape[-1], bands, bands.clamp(max=self.width), parameters)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Set the frequencies masked [N,F] of x [N,L,…,F] to 0 → [N,L,…,F]."""
        masked = parameters["masked"]
        return torch.where(masked.reshape(len(x), *[1] * (x.dim() - 2), -1), 0, x)
