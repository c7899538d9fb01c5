"""Augmentations that mix samples and their labels."""

import math

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from membrane.augment.augmentation import Augmentation, broadcast


class Mixup(Augmentation):
    """x [N,…] or [N,T,…] → λ·x + (1−λ)·x[partner], labels alike → [N,K]; λ ~ Beta(``alpha``, ``alpha``) a sample.

    Zhang et al. 2018, arXiv:1710.09412. The partners are a permutation of the batch. Recordings are mixed frame t with
    frame t; the result has the length of the longer one.
    """

    collapse_timesteps = False

    def __init__(self, *, alpha: float, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
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

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Mix x [N,…] by weight [N] with the partners [N] → [N,…]."""
        weight = broadcast(parameters["weight"], x).to(x.dtype)
        return weight * x + (1 - weight) * x[parameters["partner"]]

    def labels(self, y: Tensor, parameters: dict[str, Tensor], classes: int) -> Tensor:
        """Mix y [N] or [N,K] (soft, or targets) as x → [N,K]."""
        soft = y if y.dim() == 2 else functional.one_hot(y, classes).to(parameters["weight"].dtype)
        return self.apply(soft, parameters)

    def lengths(self, lengths: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Take the larger of both partners' valid timesteps [N] → [N]."""
        return torch.maximum(lengths, lengths[parameters["partner"]])

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "one weight and one partner a sample" + (" shared over T" if timesteps else "")

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"
