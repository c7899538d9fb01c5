"""Additive noise."""

import math
from collections.abc import Iterable

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, broadcast


class GaussianNoise(Augmentation):
    """x [M,C,…] → x + s·ε, with ε ~ N(0, 1) for every value of every frame and s ~ U(0, ``std``) for every sample.

    ``std`` is the upper bound of the noise's standard deviation, in units of x as the model sees it; with ``fixed`` it
    is that of every sample. With ``rounding`` the noise is rounded to whole units of the data as they are stored.
    """

    def __init__(
        self,
        *,
        std: float,
        fixed: bool = False,
        rounding: bool = False,
        evaluate: bool = False,
        before: bool = False,
        after: bool = True,
    ) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not 0 <= std < math.inf:
            raise self.refusal(f"std must be a finite number of at least 0, got {std}")
        self.std, self.fixed, self.rounding, self.unit = std, fixed, rounding, 1.0

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Take the unit of the stored data, ``scale``, to which noise is rounded."""
        self.unit = scale

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw strength [n] in units of x, and seed [n], equal in all rows: the seed of the whole batch's ε."""
        share = torch.ones(n) if self.fixed else torch.rand(n, generator=generator, device=generator.device)
        return {"strength": self.std * share, "seed": one_seed(n, generator)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Add noise of strength [M] from seed [M] to x [M,C,…] → [M,C,…]; ε is drawn on the device of x."""
        epsilon = torch.randn(x.shape, generator=seeded(parameters, x), device=x.device, dtype=x.dtype)
        noise = broadcast(parameters["strength"], x).to(x.dtype) * epsilon
        return x + (whole(noise, self.unit) if self.rounding else noise)

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        values = "values new in every frame" if timesteps else "values new in every sample"
        if self.fixed:
            return values
        return f"one strength a sample shared over T, {values}" if timesteps else "one strength a sample"

    def extra_repr(self) -> str:
        return f"std={self.std}" + ", fixed" * self.fixed + ", rounding" * self.rounding


class ExponentialNoise(Augmentation):
    """x [M,C,…] → x + ε, with ε ~ Exp(``rate``) for every value of every frame: of mean 1/rate, and never negative.

    ``rate`` is in units of 1/x as the model sees it. With ``rounding`` the noise is rounded to whole units of the data
    as they are stored, so that counts stay whole numbers.
    """

    def __init__(
        self,
        *,
        rate: float,
        rounding: bool = False,
        evaluate: bool = False,
        before: bool = False,
        after: bool = True,
    ) -> None:
        super().__init__(evaluate=evaluate, before=before, after=after)
        if not 0 < rate < math.inf:
            raise self.refusal(f"rate must be a finite number above 0, got {rate}")
        self.rate, self.rounding, self.unit = rate, rounding, 1.0

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Take the unit of the stored data, ``scale``, to which noise is rounded."""
        self.unit = scale

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw seed [n], equal in all rows: the seed of the whole batch's ε."""
        return {"seed": one_seed(n, generator)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Add noise from seed [M] to x [M,C,…] → [M,C,…]; ε is drawn on the device of x."""
        noise = torch.empty_like(x).exponential_(self.rate, generator=seeded(parameters, x))
        return x + (whole(noise, self.unit) if self.rounding else noise)

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "values new in every frame" if timesteps else "values new in every sample"

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}" + ", rounding" * self.rounding


def one_seed(n: int, generator: Generator) -> Tensor:
    """Draw a seed for a whole batch → [n], equal in all rows."""
    return torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device).expand(n)


def seeded(parameters: dict[str, Tensor], x: Tensor) -> Generator:
    """Build a generator on the device of x, seeded with the batch's seed [M]."""
    return torch.Generator(device=x.device).manual_seed(int(parameters["seed"][0]))


def whole(noise: Tensor, unit: float) -> Tensor:
    """Round noise to whole multiples of ``unit``."""
    return (noise / unit).round() * unit
