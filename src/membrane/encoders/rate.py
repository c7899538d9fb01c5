"""Rate coding: the larger the value, the more often it spikes."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from membrane.encoders.encoder import Encoder


class Rate(Encoder):
    """x [N,C,…] in [0, 1] → spikes [N,T,C,…]: at each timestep, independently, 1 with probability x.

    A Bernoulli trial at each timestep is the discrete form of a Poisson process (SpikingJelly's ``PoissonEncoder``).
    """

    def __init__(self, *, timesteps: int, bounds: Sequence[float] = (0.0, 1.0)) -> None:
        super().__init__(timesteps=timesteps, bounds=bounds)

    def draw(self, n: int, shape: Sequence[int], generator: Generator) -> dict[str, Tensor]:
        """Draw uniform [n,T,C,…] from [0, 1)."""
        return {"uniform": torch.rand(n, self.timesteps, *shape, generator=generator, device=generator.device)}

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Encode x [N,C,…] → spikes [N,T,C,…]; 0 never spikes, 1 always."""
        return (parameters["uniform"] < x.unsqueeze(1)).to(x.dtype)
