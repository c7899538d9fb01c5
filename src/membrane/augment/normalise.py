"""Normalisation with statistics of the training part."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from membrane.augment.augmentation import Augmentation


class Normalise(Augmentation):
    """x [M,C,…] → (x − mean) / std of each channel, in training and evaluation.

    ``mean`` and ``std`` [C] are in units of x as the model sees it. Without them `fit` computes those of the training
    part before any augmentation. They are buffers, saved with the checkpoint.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
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
        # Empty until fitted: a buffer of None would not be in the state, and a checkpoint that has it not be loaded.
        self.register_buffer("mean", torch.tensor(means, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(stds, dtype=torch.float32))
        self.register_load_state_dict_pre_hook(resize_empty_buffers)  # type: ignore[no-untyped-call]

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Compute mean and std of each channel of x·scale, x [k,C,…] or with ``timesteps`` [k,T,C,…], if not passed.

        std is that of a population (divided by the count); that of a constant channel is set to 1. Raises ValueError
        for another rank.
        """
        if self.fixed:
            return
        for piece in x:
            if piece.dim() - timesteps not in (3, 4) or not piece.numel():
                expected = "[k,T,C,S] or [k,T,C,H,W]" if timesteps else "[k,C,S] or [k,C,H,W]"
                raise ValueError(f"Normalise.fit needs the training part as {expected}, got {list(piece.shape)}")
            break
        mean, std = channel_statistics(x, timesteps)
        self.mean = (mean * scale).to(self.mean)
        self.std = torch.where(std > 0, std * scale, 1.0).to(self.std)

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw nothing."""
        return {}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Normalise x [M,C,…] → [M,C,…]. Raises RuntimeError before `fit`, ConfigError for another number C."""
        if not len(self.mean):
            raise RuntimeError("Normalise has no statistics: call fit with the training part, or give mean and std")
        if x.shape[1] != len(self.mean):
            raise self.refusal(f"has statistics of {len(self.mean)} channels, x has {x.shape[1]}: give one a channel")
        mean, std = (value.to(x).reshape(-1, *[1] * (x.dim() - 2)) for value in (self.mean, self.std))
        return (x - mean) / std

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "nothing drawn"

    def extra_repr(self) -> str:
        if not self.fixed:
            return "statistics of the training part"
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"


def channel_statistics(x: Iterable[Tensor], timesteps: bool = False) -> tuple[Tensor, Tensor]:
    """Compute mean and population std of pieces x [k,C,…] or [k,T,C,…] → [C] each, in double precision."""
    count, total, square = 0, torch.zeros(1, dtype=torch.double), torch.zeros(1, dtype=torch.double)
    for piece in by_channel(x, timesteps):
        count += piece.numel() // piece.shape[1]
        total = total + piece.sum((0, 2))
    mean = total / count
    for piece in by_channel(x, timesteps):
        square = square + (piece - mean[:, None]).square().sum((0, 2))
    return mean, (square / count).sqrt()


def by_channel(x: Iterable[Tensor], timesteps: bool) -> Iterator[Tensor]:
    """Yield pieces [k,C,…] or [k,T,C,…] as double [k·T,C,values of a channel]."""
    for piece in x:
        yield (piece.flatten(0, 1) if timesteps else piece).flatten(2).double()


def resize_empty_buffers(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """Give the empty buffers of an unfitted `Normalise` their sizes in the checkpoint, before it is loaded."""
    for name, buffer in list(module.named_buffers(recurse=False)):
        if prefix + name in state_dict and not len(buffer):
            setattr(module, name, buffer.new_empty(state_dict[prefix + name].shape))
