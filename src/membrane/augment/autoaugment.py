"""AutoAugment (Cubuk et al. 2019, arXiv:1805.09501), as torchvision has it."""

from typing import Literal, Unpack

import torch
from torch import Generator, Tensor
from torchvision.transforms import v2

from membrane.augment.augmentation import Augmentation, When

ROUNDING = 1e-3
"""By how much interpolation may leave the range of values."""


class AutoAugment(Augmentation):
    """x [N,C,H,W] or [N,T,C,H,W], values in [0, 1], C 1 or 3 → two operations of a learnt policy, for each sample.

    ``policy`` names the data set that it was learnt on. torchvision draws from the global generator; it is seeded
    for each sample, whose T frames are one call.
    """

    collapse_timesteps = False

    def __init__(self, *, policy: Literal["cifar10", "svhn", "imagenet"] = "cifar10", **when: Unpack[When]) -> None:
        super().__init__(**when)
        if policy not in ("cifar10", "svhn", "imagenet"):
            raise self.refusal(f"policy must be cifar10, svhn or imagenet, got {policy}")
        self.policy = policy
        self.transform = v2.AutoAugment(v2.AutoAugmentPolicy(policy))

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw seed [n]."""
        return {"seed": torch.randint(2**63 - 1, (n,), generator=generator, device=generator.device)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Augment each of x [N,…,C,H,W] as its seed [N] says → [N,…,C,H,W]. Raises ConfigError for another x."""
        if x.dim() not in (4, 5) or x.shape[-3] not in (1, 3):
            raise self.refusal(f"is for images of 1 or 3 channels, got x of shape {list(x.shape)}")
        low, high = (float(each) for each in x.aminmax())
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise self.refusal(f"needs values from 0 to 1, got {low:g} to {high:g}: name it before what changes them")
        images = []
        with torch.random.fork_rng(devices=[]):
            for image, seed in zip(x.clamp(0, 1), parameters["seed"].tolist(), strict=True):
                torch.default_generator.manual_seed(seed)
                images.append(self.transform(image))
        return torch.stack(images)

    def extra_repr(self) -> str:
        return f"policy={self.policy}"
