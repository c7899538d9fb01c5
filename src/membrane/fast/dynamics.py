"""What one layer of fused neurons computes: the form of its equations, their constants, its surrogate."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor | None, float]  # v [N,…] before the first timestep; or None, and the number that all start at


class Dynamics(NamedTuple):
    """h[t] = charge(x[t], v[t−1]), s[t] = Θ(h[t] − θ), v[t] = reset(h[t], s[t]).

    ``charge`` is ``integrate`` (h = v + x), ``leak`` (by ``tau``) or ``learned`` (by a rate 1/τ that takes a gradient);
    ``v_reset`` None is the soft reset.
    """

    charge: str
    decay_input: bool
    tau: float
    v_threshold: float
    v_reset: float | None
    detach_reset: bool
    surrogate: nn.Module
    parameters: tuple[float, float]

    @property
    def rest(self) -> float:
        """Where a leak leads to."""
        return 0.0 if self.v_reset is None else self.v_reset


def unrolled(dynamics: Dynamics, x: Tensor, state: State, rate: Tensor | None) -> tuple[Tensor, Tensor]:
    """x [T,N,…] → spikes [T,N,…] and the last v [N,…], one operation after another: what autograd can derive twice."""
    before, start = state
    v = torch.full_like(x[0], start, dtype=torch.float32) if before is None else before
    spikes = []
    for now in x.float():
        v = charged(dynamics, now, v, rate)
        spike = dynamics.surrogate(v - dynamics.v_threshold)
        spikes.append(spike.to(x.dtype))
        spike = spike.detach() if dynamics.detach_reset else spike
        if dynamics.v_reset is None:
            v = v - spike * dynamics.v_threshold
        else:
            v = spike * dynamics.v_reset + (1.0 - spike) * v
    return torch.stack(spikes), v


def charged(dynamics: Dynamics, x: Tensor, v: Tensor, rate: Tensor | None) -> Tensor:
    """h [N,…] of x [N,…] and v [N,…]."""
    if dynamics.charge == "integrate":
        return v + x
    leaking = x - (v - dynamics.rest) if dynamics.decay_input else v - dynamics.rest
    leaked = leaking / dynamics.tau if rate is None else leaking * rate
    return v + leaked if dynamics.decay_input else v - leaked + x
