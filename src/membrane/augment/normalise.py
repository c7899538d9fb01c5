"""Normalisation with statistics of the training part."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from membrane.augment.augmentation import Augmentation

CONSTANT = 1e-9
"""A deviation of so little of the mean is what the summation of equal float64 left, not one of float32 values."""


class Normalise(Augmentation):
    """x [M,C,…] → (x − mean) / std of each channel, in training and evaluation.

    Without ``mean`` and ``std`` [C] `fit` computes those of the training part before any augmentation. They are
    buffers, saved with the checkpoint.

    Arguments:
        mean: one a channel, in units of x as the model sees it.
        std: one a channel, likewise.
        per: ``position`` for the statistics of each pixel or sample of a signal on its own, [C,…] instead of [C]; all
            timesteps of the data count as one position. By default ``channel``.
        evaluate: normalise in validation and test too, as by default.
        before: run before the transfer to the device.
        after: run after the transfer to the device, as by default.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        per: Literal["channel", "position"] = "channel",
        evaluate: bool = True,
        before: bool = False,
        after: bool = True,
    ) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if before and after:
            raise self.refusal("would normalise twice, set before=false or after=false")
        self.fixed = mean is not None
        means, stds = list(mean or []), list(std or [])
        if (mean is None) != (std is None) or len(means) != len(stds) or (self.fixed and not means):
            raise self.refusal(f"needs one mean and one std a channel, or neither, got mean={mean}, std={std}")
        if not all(map(math.isfinite, means)) or not all(0 < value < math.inf for value in stds):
            raise self.refusal(f"needs finite means and finite stds above 0, got mean={mean}, std={std}")
        if self.fixed and per == "position":
            raise self.refusal("takes mean and std for per=channel alone, leave them out with per=position")
        self.per = per
        # Empty until fitted: a buffer of None would not be in the state, and a checkpoint that has it not be loaded.
        self.register_buffer("mean", torch.tensor(means, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(stds, dtype=torch.float32))
        self.register_load_state_dict_pre_hook(resize_empty_buffers)  # type: ignore[no-untyped-call]

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Compute mean and std of x·scale, x [k,C,…] or with ``timesteps`` [k,T,C,…], if they were not passed.

        std is that of a population (divided by the count); that of a constant one is set to 1. Raises ValueError
        for another rank.
        """
        if self.fixed:
            return
        for piece in x:
            if piece.dim() - timesteps not in (3, 4) or not piece.numel():
                expected = "[k,T,C,S] or [k,T,C,H,W]" if timesteps else "[k,C,S] or [k,C,H,W]"
                raise ValueError(f"Normalise.fit needs the training part as {expected}, got {list(piece.shape)}")
            break
        shape = piece.shape[1 + timesteps :] if self.per == "position" else (-1,)
        mean, std = (each.reshape(shape) for each in training_statistics(x, timesteps, self.per))
        self.mean = (mean * scale).to(self.mean)
        self.std = torch.where(std > CONSTANT * mean.abs(), std * scale, 1.0).to(self.std)

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw nothing."""
        return {}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Normalise x [M,C,…] → [M,C,…]. Raises RuntimeError before `fit`, ConfigError for another number C."""
        if not len(self.mean):
            raise RuntimeError("Normalise has no statistics: call fit with the training part, or give mean and std")
        expected, got = (list(shape[: self.mean.dim()]) for shape in (self.mean.shape, x.shape[1:]))
        if got != expected:
            raise self.refusal(f"has statistics of {expected[0]} channels, x has {got[0]}: give one a channel")
        mean, std = (
            value.to(x).reshape(*value.shape, *[1] * (x.dim() - 1 - value.dim())) for value in (self.mean, self.std)
        )
        return (x - mean) / std

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "nothing drawn"

    def extra_repr(self) -> str:
        if not self.fixed:
            return "statistics of the training part" + (" per position" if self.per == "position" else "")
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"


def training_statistics(x: Iterable[Tensor], timesteps: bool = False, per: str = "channel") -> tuple[Tensor, Tensor]:
    """Compute mean and population std of pieces x [k,C,…] or [k,T,C,…] → [C] each, in double precision.

    ``per`` position they are those of each of the P values of a frame → [P].
    """
    count, total, square = 0, torch.zeros(1, dtype=torch.double), torch.zeros(1, dtype=torch.double)
    for piece in by_entry(x, timesteps, per):
        count += piece.numel() // piece.shape[1]
        total = total + piece.sum((0, 2))
    mean = total / count
    for piece in by_entry(x, timesteps, per):
        square = square + (piece - mean[:, None]).square().sum((0, 2))
    return mean, (square / count).sqrt()


def by_entry(x: Iterable[Tensor], timesteps: bool, per: str) -> Iterator[Tensor]:
    """Yield pieces [k,C,…] or [k,T,C,…] as double [k·T,C,values of a channel], ``per`` position [k·T,P,1]."""
    for piece in x:
        frames = piece.flatten(0, 1) if timesteps else piece
        yield (frames.flatten(2) if per == "channel" else frames.flatten(1).unsqueeze(2)).double()


def resize_empty_buffers(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """Give the empty buffers of an unfitted `Normalise` their sizes in the checkpoint, before it is loaded."""
    for name, buffer in list(module.named_buffers(recurse=False)):
        if prefix + name in state_dict and not len(buffer):
            setattr(module, name, buffer.new_empty(state_dict[prefix + name].shape))
