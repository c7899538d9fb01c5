"""Additive noise."""

import math

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, broadcast


class GaussianNoise(Augmentation):
    """x [M,C,…] → x + s·ε, ε ~ N(0, 1) anew for every value of every frame, s ~ U(0, ``std``) once a sample.

    ``std`` is the upper bound of the noise's standard deviation, in units of x as the model sees it.
    """

    def __init__(self, *, std: float, evaluate: bool = False, before: bool = False, after: bool = True) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not 0 <= std < math.inf:
            raise self.refusal(f"std must be a finite number of at least 0, got {std}")
        self.std = std

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """strength [n] in units of x; seed [n], the same in every row: the whole batch's ε come from it."""
        strength = self.std * torch.rand(n, generator=generator, device=generator.device)
        seed = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
        return {"strength": strength, "seed": seed.expand(n)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """x [M,C,…], strength [M], seed [M] → [M,C,…]; ε is drawn on the device of x."""
        generator = torch.Generator(device=x.device).manual_seed(int(parameters["seed"][0]))
        epsilon = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x + broadcast(parameters["strength"], x).to(x.dtype) * epsilon

    def drawn(self, timesteps: bool) -> str:
        """What is drawn for whom, in the words of the log."""
        return "one strength a sample" + (" shared over T, values new in every frame" if timesteps else "")

    def extra_repr(self) -> str:
        return f"std={self.std}"
