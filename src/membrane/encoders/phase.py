"""Phase coding: the binary digits of a value, the most significant first."""

from collections.abc import Sequence

import torch
from torch import Tensor

from membrane.encoders.encoder import Encoder, over_time


class Phase(Encoder):
    """x [N,C,…] in [0, 1] → spikes [N,T,C,…]: at timestep t the digit of 2^−(1 + t mod K), K the ``period``.

    Kim, Kim, Huh, Lee & Choi 2018, "Deep neural networks with weighted spikes", Neurocomputing 311, 373–386, with their
    K of 8. x is cut to K digits, and 1 to 1 − 2^−K. Where T is less than a period the last digits are left out.

    Arguments:
        timesteps: T.
        bounds: as in `Encoder`.
        period: K, up to 24, the digits that a float32 has.
        weighted: multiply each spike by the weight of its digit, as the paper's neurons do, so that those of a period
            add up to x. By default spikes are 0 and 1, as in SpikingJelly's ``WeightedPhaseEncoder``.
    """

    def __init__(
        self, *, timesteps: int, bounds: Sequence[float] = (0.0, 1.0), period: int = 8, weighted: bool = False
    ) -> None:
        super().__init__(timesteps=timesteps, bounds=bounds)
        if not 1 <= period <= 24:
            raise self.refusal(f"period must be from 1 to 24, got {period}")
        self.period, self.weighted = period, weighted

    def encode(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Encode x [N,C,…] → spikes [N,T,C,…]."""
        x = x.clamp(max=1 - 2**-self.period).unsqueeze(1)
        digit = 1 + torch.arange(self.timesteps, device=x.device) % self.period
        spikes = (x * over_time(2.0**digit, x)).floor().remainder(2)  # exact: powers of two change the exponent alone
        return spikes * over_time(0.5**digit, x) if self.weighted else spikes

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, period={self.period}, weighted={self.weighted}"
