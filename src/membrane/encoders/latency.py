"""Latency coding: the larger the value, the earlier its only spike."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from membrane.encoders.encoder import Encoder, over_time


class Latency(Encoder):
    """x [N,C,…] in [0, 1] → spikes [N,T,C,…]: one for each value, 1 at the first timestep, 0 at the last.

    The timestep from 0 on is, rounded, (T − 1)·(1 − x) with ``function`` linear, and with log
    (T − 1) − ln(αx + 1), α = e^(T−1) − 1, as in SpikingJelly's ``LatencyEncoder``.
    """

    def __init__(self, *, timesteps: int, bounds: Sequence[float] = (0.0, 1.0), function: str = "linear") -> None:
        super().__init__(timesteps=timesteps, bounds=bounds)
        if function not in ("linear", "log"):
            raise self.refusal(f"function must be linear or log, got {function}")
        self.function = function

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Encode x [N,C,…] → spikes [N,T,C,…]."""
        timestep = self.spike_time(x).round().unsqueeze(1)
        return (timestep == over_time(torch.arange(self.timesteps, device=x.device), timestep)).to(x.dtype)

    def spike_time(self, x: Tensor) -> Tensor:
        """Return the time [N,C,…] from 0 to T − 1 at which each value spikes, not rounded yet."""
        last = self.timesteps - 1
        if self.function == "linear":
            return last * (1 - x)
        # ln(αx + 1) through ln α: e^(T−1) itself is beyond float32 from T = 90 on
        log_alpha = last + math.log1p(-math.exp(-last)) if last else -math.inf
        return last - torch.logaddexp(x.log() + log_alpha, torch.zeros_like(x))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, function={self.function}"
