"""From the outputs of T timesteps to one prediction. Every readout works on any prefix of T."""

import torch
from torch import Tensor

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


def valid(outputs: Tensor, lengths: Tensor) -> Tensor:
    """outputs [T,N,…], lengths [N] → mask [T,N,1,…], true where the timestep belongs to the sample."""
    mask = torch.arange(len(outputs), device=outputs.device)[:, None] < lengths[None, :]
    return mask.reshape(*mask.shape, *[1] * (outputs.dim() - 2))
