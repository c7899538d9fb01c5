"""From the outputs of T timesteps to one prediction. Every readout works on any prefix of T."""

from typing import Literal

import torch
from torch import Tensor

from membrane.errors import ConfigError
from membrane.framework import Outputs


class Readout:
    """outputs [T,N,…], lengths [N] (valid timesteps, None: all) → prediction [N,…]."""

    def __call__(self, outputs: Outputs, lengths: Tensor | None = None) -> Outputs:
        if isinstance(outputs, dict):
            return {key: self.reduce(output, lengths) for key, output in outputs.items()}
        return self.reduce(outputs, lengths)

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        raise NotImplementedError


class Mean(Readout):
    """Σ_t outputs / T over the valid timesteps: the firing rate where the outputs are spikes."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        if lengths is None:
            return outputs.sum(0) / len(outputs)
        count = lengths.clamp(max=len(outputs)).reshape(-1, *[1] * (outputs.dim() - 2))
        return outputs.masked_fill(~valid(outputs, lengths), 0).sum(0) / count


class Sum(Readout):
    """Σ_t outputs over the valid timesteps: the spike count where the outputs are spikes."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        return outputs.sum(0) if lengths is None else outputs.masked_fill(~valid(outputs, lengths), 0).sum(0)


class Max(Readout):
    """max_t outputs over the valid timesteps."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        if lengths is None:
            return outputs.amax(0)
        return outputs.masked_fill(~valid(outputs, lengths), -torch.inf).amax(0)


class Last(Readout):
    """The output of the last valid timestep; its gradient is that output's alone."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        if lengths is None:
            return outputs[-1]
        last = lengths.clamp(max=len(outputs)) - 1
        return outputs[last, torch.arange(outputs.shape[1], device=outputs.device)]


class Membrane(Readout):
    """A leaky integrator over the outputs, which never fires: its potential v, from 0 on.

    v[t] = v[t−1] + (x[t] − v[t−1])/τ, or without ``decay_input`` v[t] = (1 − 1/τ)·v[t−1] + x[t]: that of the last
    valid timestep, or with ``reduce="max"`` the highest of all valid ones. ConfigError for a τ that is not above 1.
    """

    def __init__(self, tau: float = 2.0, reduce: Literal["last", "max"] = "last", decay_input: bool = True) -> None:
        if not tau > 1:
            raise ConfigError(f"readout.tau={tau} must be greater than 1")
        if reduce not in ("last", "max"):
            raise ConfigError(f"readout.reduce={reduce} must be last or max")
        self.decay = 1 - 1 / tau
        self.gain = 1 / tau if decay_input else 1.0
        self.of_trace = Last() if reduce == "last" else Max()

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        v, trace = torch.zeros_like(outputs[0]), []
        for x in outputs:
            v = self.decay * v + self.gain * x
            trace.append(v)
        return self.of_trace.reduce(torch.stack(trace), lengths)


class FirstSpike(Readout):
    """(T − t)/T · outputs[t] at the first timestep t = 0 … T − 1 that is above 0: the class that spikes first wins.

    Of binary spikes it lies in [0,1]; a class that never spikes scores 0. T is the number of valid timesteps. When a
    class spikes first has no gradient; the output of that timestep has, and of a silent class that of the last valid
    one, so that a surrogate can wake it.
    """

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """[T,N,…] → [N,…]."""
        steps, ones = len(outputs), [1] * (outputs.dim() - 2)
        times = torch.arange(steps, device=outputs.device).reshape(-1, 1, *ones)
        total = times.new_tensor(steps) if lengths is None else lengths.clamp(max=steps).reshape(-1, *ones)
        # a spike behind the last valid timestep, and none at all, count as being there
        first = torch.where(outputs > 0, times, steps).amin(0).minimum(total - 1)
        return outputs.gather(0, first.unsqueeze(0)).squeeze(0) * ((total - first).to(outputs.dtype) / total)


def valid(outputs: Tensor, lengths: Tensor) -> Tensor:
    """outputs [T,N,…], lengths [N] → mask [T,N,1,…], true where the timestep belongs to the sample."""
    mask = torch.arange(len(outputs), device=outputs.device)[:, None] < lengths[None, :]
    return mask.reshape(*mask.shape, *[1] * (outputs.dim() - 2))
