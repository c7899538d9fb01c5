"""Integrate-and-fire neurons with one learnable threshold a layer."""

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn


class IFSRL(neuron.BaseNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,…] or [T,N,…] → spikes of 0 and 1: a soft-reset integrate-and-fire neuron that learns its threshold θ.

    h[t] = v[t−1] + x[t], s[t] = Θ(h[t] − θ), v[t] = h[t] − θ·s[t]. θ starts at U(0.8, 1)·``v_threshold``, one number
    for the layer; the gradient reaches it through both the comparison and the reset (the latter unless
    ``detach_reset``, which detaches the spike there). The surrogate is a sigmoid with α = 1 unless one is given.
    """

    v_threshold: nn.Parameter

    def __init__(
        self,
        v_threshold: float = 1.0,
        surrogate_function: nn.Module | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
    ) -> None:
        shape = surrogate_function or surrogate.Sigmoid(alpha=1.0)
        super().__init__(v_threshold, None, shape, detach_reset, step_mode)
        start = v_threshold * torch.empty(()).uniform_(0.8, 1.0)
        del self.v_threshold
        self.v_threshold = nn.Parameter(start)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """One timestep of x [N,…] and v [N,…], in SpikingJelly's terms: ((spikes,), (v,))."""
        h = states[0] + inputs[0]
        spike = self.surrogate_function(h - self.v_threshold)
        reset = spike.detach() if self.detach_reset else spike
        return (self.emitted(spike),), (h - self.v_threshold * reset,)

    def emitted(self, spike: Tensor) -> Tensor:
        """What leaves the neuron for a spike."""
        return spike


class ATIF(IFSRL):
    """x [N,…] or [T,N,…] → spikes of 0 and θ: the same, its output scaled by the learned threshold."""

    def emitted(self, spike: Tensor) -> Tensor:
        """What leaves the neuron for a spike."""
        return spike * self.v_threshold
