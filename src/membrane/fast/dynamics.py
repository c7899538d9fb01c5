"""The dynamics of a layer of fused neurons: the form of its equations, their constants, its surrogate."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor | None, float]
"""v [N,…] before the first timestep, or None and the value at which all neurons start."""


class Dynamics(NamedTuple):
    """h[t] = charge(x[t], v[t−1]), s[t] = Θ(h[t] − θ), v[t] = reset(h[t], s[t]).

    Arguments:
        charge: ``integrate`` (h = v + x), ``leak`` (by ``tau``), ``learned`` (by a rate 1/τ that has a gradient), or
            ``reset_late`` (h = β·v + x − θ where v ≥ θ, without a gradient; v = h).
        decay_input: the leak acts on x too: h = v + (x − v)/τ instead of v − v/τ + x, v relative to rest.
        tau: in timesteps; 1 if the charge is not ``leak``.
        v_threshold: θ.
        v_reset: potential after a spike. None: the soft reset, v = h − θ.
        detach_reset: no gradient flows through the spike in the reset.
        surrogate: SpikingJelly's module, Heaviside's step with another derivative.
        parameters: p and q of the surrogate's derivative in C.
        beta: β; 0 if the charge is not ``reset_late``.
    """

    charge: str
    decay_input: bool
    tau: float
    v_threshold: float
    v_reset: float | None
    detach_reset: bool
    surrogate: nn.Module
    parameters: tuple[float, float]
    beta: float = 0.0

    @property
    def rest(self) -> float:
        """Return the potential to which a leak leads."""
        return 0.0 if self.v_reset is None else self.v_reset


def unroll(dynamics: Dynamics, x: Tensor, state: State, rate: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run x [T,N,…] → spikes [T,N,…] and the last v [N,…], in operations that autograd can differentiate twice."""
    before, start = state
    v = torch.full_like(x[0], start, dtype=torch.float32) if before is None else before
    spikes = []
    for frame in x.float():
        v = charge(dynamics, frame, v, rate)
        spike = dynamics.surrogate(v - dynamics.v_threshold)
        spikes.append(spike.to(x.dtype))
        spike = spike.detach() if dynamics.detach_reset else spike
        if dynamics.charge == "reset_late":
            continue
        if dynamics.v_reset is None:
            v = v - spike * dynamics.v_threshold
        else:
            v = spike * dynamics.v_reset + (1.0 - spike) * v
    return torch.stack(spikes), v


def charge(dynamics: Dynamics, x: Tensor, v: Tensor, rate: Tensor | None) -> Tensor:
    """Charge v [N,…] with x [N,…] → h [N,…]."""
    if dynamics.charge == "integrate":
        return v + x
    if dynamics.charge == "reset_late":
        return dynamics.beta * v + x - dynamics.v_threshold * (v >= dynamics.v_threshold).to(v.dtype)
    leaking = x - (v - dynamics.rest) if dynamics.decay_input else v - dynamics.rest
    leaked = leaking / dynamics.tau if rate is None else leaking * rate
    return v + leaked if dynamics.decay_input else v - leaked + x
