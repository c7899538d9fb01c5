"""From the outputs of T timesteps to one prediction. Every readout works on any prefix of T.

>>> import torch
>>> outputs = torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]], [[1.0, 1.0]]])  # [T,N,K] = [3,1,2]
>>> Sum()(outputs)
tensor([[2., 3.]])
>>> Mean()(outputs, lengths=torch.tensor([2]))  # the third timestep is padding
tensor([[0.5000, 1.0000]])
"""

from typing import Literal

import torch
from torch import Tensor

from membrane.errors import ConfigError
from membrane.framework import Outputs, check_lengths


class Readout:
    """outputs [T,N,…], lengths [N] (each sample's valid timesteps; None: all) → prediction [N,…], at least float32.

    Half precision would round the sums over T, and make classes equal that are not: outputs are converted before they
    are reduced. Raises ValueError as `check_lengths`, so for a length of 0.
    """

    def __call__(self, outputs: Outputs, lengths: Tensor | None = None) -> Outputs:
        if isinstance(outputs, dict):
            return {key: self.read_out(output, lengths) for key, output in outputs.items()}
        return self.read_out(outputs, lengths)

    def read_out(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Check the lengths and reduce [T,N,…] in at least float32 → [N,…]."""
        check_lengths(lengths, outputs.shape[1])
        return self.reduce(at_least_float32(outputs), lengths)

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Reduce [T,N,…] → [N,…]."""
        raise NotImplementedError


def at_least_float32(outputs: Tensor) -> Tensor:
    """Convert outputs in half precision to float32, because sums over T would be rounded."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


class Mean(Readout):
    """Σ_t outputs / T over the valid timesteps: the firing rate where the outputs are spikes."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Average [T,N,…] → [N,…]."""
        if lengths is None:
            return outputs.sum(0) / len(outputs)
        count = lengths.clamp(max=len(outputs)).reshape(-1, *[1] * (outputs.dim() - 2))
        return outputs.masked_fill(~valid_mask(outputs, lengths), 0).sum(0) / count


class Sum(Readout):
    """Σ_t outputs over the valid timesteps: the spike count where the outputs are spikes."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Sum [T,N,…] → [N,…]."""
        return outputs.sum(0) if lengths is None else outputs.masked_fill(~valid_mask(outputs, lengths), 0).sum(0)


class Max(Readout):
    """max_t outputs over the valid timesteps."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Take the maximum of [T,N,…] → [N,…]."""
        if lengths is None:
            return outputs.amax(0)
        return outputs.masked_fill(~valid_mask(outputs, lengths), -torch.inf).amax(0)


class Last(Readout):
    """The output of the last valid timestep; its gradient is that output's alone."""

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Select the last valid timestep of [T,N,…] → [N,…]."""
        if lengths is None:
            return outputs[-1]
        last = lengths.clamp(max=len(outputs)) - 1
        return outputs[last, torch.arange(outputs.shape[1], device=outputs.device)]


class Membrane(Readout):
    """The potential v of a leaky integrator that receives the outputs x, starts at 0 and never fires.

    v[t] = v[t−1] + (x[t] − v[t−1])/τ, or without ``decay_input`` v[t] = (1 − 1/τ)·v[t−1] + x[t]. ``reduce="last"``
    takes v at the last valid timestep, ``reduce="max"`` its maximum over all valid ones, ``reduce="softmax"`` the sum
    over these of softmax(v[t]) over classes. τ is in timesteps. Raises ConfigError unless τ > 1.
    """

    def __init__(
        self, tau: float = 2.0, reduce: Literal["last", "max", "softmax"] = "last", decay_input: bool = True
    ) -> None:
        if not tau > 1:
            raise ConfigError(f"readout.tau={tau} must be greater than 1")
        readouts = {"last": Last, "max": Max, "softmax": Sum}
        if reduce not in readouts:
            raise ConfigError(f"readout.reduce={reduce} must be last, max or softmax")
        self.decay = 1 - 1 / tau
        self.gain = 1 / tau if decay_input else 1.0
        self.softmax = reduce == "softmax"
        self.trace_readout = readouts[reduce]()

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Integrate [T,N,…] → [N,…]."""
        v, trace = torch.zeros_like(outputs[0]), []
        for x in outputs:
            v = self.decay * v + self.gain * x
            trace.append(v.softmax(1) if self.softmax else v)
        return self.trace_readout.reduce(torch.stack(trace), lengths)


class FirstSpike(Readout):
    """(T − t)/T · outputs[t] at the first timestep t = 0 … T − 1 that is above 0: the class that spikes first wins.

    T is the number of valid timesteps. For binary spikes the prediction lies in [0,1], and is 0 for a class that never
    spikes. The time t has no gradient; the output at t has one. A silent class takes the output of the last valid
    timestep, so that a surrogate gradient can reach it.
    """

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Score the first spikes of [T,N,…] → [N,…]."""
        steps, ones = len(outputs), [1] * (outputs.dim() - 2)
        times = torch.arange(steps, device=outputs.device).reshape(-1, 1, *ones)
        total = times.new_tensor(steps) if lengths is None else lengths.clamp(max=steps).reshape(-1, *ones)
        # no spike, or one in the padding, counts as a spike at the last valid timestep
        first = torch.where(outputs > 0, times, steps).amin(0).minimum(total - 1)
        return outputs.gather(0, first.unsqueeze(0)).squeeze(0) * ((total - first).to(outputs.dtype) / total)


class Crossings(Readout):
    """The number of valid timesteps at which outputs are at least ``threshold``: of potentials, the spikes.

    It has no gradient: the loss is to be one of each timestep.
    """

    def __init__(self, threshold: float = 1.0) -> None:
        self.threshold = threshold

    def reduce(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Count over time [T,N,…] → [N,…]."""
        return Sum().reduce((outputs >= self.threshold).to(outputs.dtype), lengths)


def valid_mask(outputs: Tensor, lengths: Tensor) -> Tensor:
    """Compare the timesteps of outputs [T,N,…] with lengths [N] → mask [T,N,1,…], true at valid timesteps."""
    mask = torch.arange(len(outputs), device=outputs.device)[:, None] < lengths[None, :]
    return mask.reshape(*mask.shape, *[1] * (outputs.dim() - 2))
