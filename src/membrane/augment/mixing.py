"""Augmentations that mix samples and their labels."""

import math
from typing import Unpack

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from membrane.augment.augmentation import Augmentation, When, broadcast
from membrane.augment.image import rectangle


class Mixing(Augmentation):
    """The base of augmentations that mix each sample with a partner; the partners are a permutation of the batch.

    The share of the sample itself is Beta(``alpha``, ``alpha``). The result has the length of the longer partner.
    """

    collapse_timesteps = False

    def __init__(self, *, alpha: float, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not 0 < alpha < math.inf:
            raise self.refusal(f"alpha must be a finite number above 0, got {alpha}")
        self.alpha = alpha

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw weight [n] in [0, 1], the share of the sample itself, and partner [n], an index into the batch."""
        seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
        # torch's Beta takes no generator
        weight = np.random.default_rng(int(seed)).beta(self.alpha, self.alpha, n)
        partner = torch.randperm(n, generator=generator, device=generator.device)
        return {"weight": torch.from_numpy(weight).float().to(generator.device), "partner": partner}

    def labels(self, y: Tensor, parameters: dict[str, Tensor], classes: int) -> Tensor:
        """Mix y [N] or [N,K] (soft, or targets) by weight [N] with those of the partners [N] → [N,K]."""
        soft = y if y.dim() == 2 else functional.one_hot(y, classes).to(parameters["weight"].dtype)
        return mixed(soft, parameters)

    def lengths(self, lengths: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Take the larger of both partners' valid timesteps [N] → [N]."""
        return torch.maximum(lengths, lengths[parameters["partner"]])

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "one weight and one partner a sample" + (" shared over T" if timesteps else "")

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class Mixup(Mixing):
    """x [N,…] or [N,T,…] → λ·x + (1−λ)·x[partner], labels alike → [N,K]; λ ~ Beta(``alpha``, ``alpha``) a sample.

    Zhang et al. 2018, arXiv:1710.09412. The partners are a permutation of the batch. Recordings are mixed frame t with
    frame t; the result has the length of the longer one.
    """

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Mix x [N,…] by weight [N] with the partners [N] → [N,…]."""
        return mixed(x, parameters)


class CutMix(Mixing):
    """x [N,C,S] or [N,C,H,W], or each frame of it → a segment or rectangle taken from the partner's.

    Yun et al. 2019, arXiv:1905.04899: it covers 1−λ, λ ~ Beta(``alpha``, ``alpha``) a sample, in the shape of the
    image; its centre is anywhere, and what lies beyond the border is cut off. Labels are mixed by what it covers then.
    """

    view = "channels"

    def __init__(self, *, alpha: float = 1.0, **when: Unpack[When]) -> None:
        super().__init__(alpha=alpha, **when)

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw weight, partner [n] and centre [n,2] along (H, W) as fractions of the image in [0, 1)."""
        parameters = super().draw(n, generator)
        return {**parameters, "centre": torch.rand(n, 2, generator=generator, device=generator.device)}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the pixels of x [N,C,…] to take from the partner → taken [N,1,…], and the weight [N] left."""
        size = x.shape[2:]
        share = (1 - parameters["weight"]) ** (1 / len(size))
        taken = rectangle(x, parameters["centre"], torch.stack([(share * side).long() for side in size], 1))
        weight = 1 - taken.flatten(1).float().mean(1)
        return {"taken": taken, "weight": weight, "partner": parameters["partner"]}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Take the pixels taken [N,1,…] of x [N,C,…] from the partners [N] → [N,C,…]."""
        return torch.where(parameters["taken"], x[parameters["partner"]], x)


def mixed(values: Tensor, parameters: dict[str, Tensor]) -> Tensor:
    """Mix values [N,…] by weight [N] with those of the partners [N] → [N,…]."""
    weight = broadcast(parameters["weight"], values).to(values.dtype)
    return weight * values + (1 - weight) * values[parameters["partner"]]
