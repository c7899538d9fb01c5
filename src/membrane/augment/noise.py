"""Additive noise."""

import math

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, broadcast


class GaussianNoise(Augmentation):
    """x [M,C,…] → x + s·ε, with ε ~ N(0, 1) for every value of every frame and s ~ U(0, ``std``) for every sample.

    ``std`` is the upper bound of the noise's standard deviation, in units of x as the model sees it.
    """

    def __init__(self, *, std: float, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not 0 <= std < math.inf:
            raise self.refusal(f"std must be a finite number of at least 0, got {std}")
        self.std = std

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw strength [n] in units of x, and seed [n], equal in all rows: the seed of the whole batch's ε."""
        strength = self.std * torch.rand(n, generator=generator, device=generator.device)
        seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
        return {"strength": strength, "seed": seed.expand(n)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Add noise of strength [M] from seed [M] to x [M,C,…] → [M,C,…]; ε is drawn on the device of x."""
        generator = torch.Generator(device=x.device).manual_seed(int(parameters["seed"][0]))
        epsilon = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x + broadcast(parameters["strength"], x).to(x.dtype) * epsilon

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "one strength a sample" + (" shared over T, values new in every frame" if timesteps else "")

    def extra_repr(self) -> str:
        return f"std={self.std}"
