"""Integrate-and-fire neurons with one learnable threshold for each layer."""

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn


class IFSRL(neuron.BaseNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,…] or [T,N,…] → spikes of 0 and 1: a soft-reset integrate-and-fire neuron that learns its threshold θ.

    h[t] = v[t−1] + x[t], s[t] = Θ(h[t] − θ), v[t] = h[t] − θ·s[t]. θ is one number for the layer, drawn from
    U(``vth_init_l``, ``vth_init_h``)·``v_threshold``, by default U(0.8, 1). Raises ValueError unless
    0 < ``vth_init_l`` ≤ ``vth_init_h``. The gradient reaches θ through the comparison and through the reset;
    ``detach_reset`` detaches the spike in the reset. The surrogate is a sigmoid with α = 1, as published, if none is
    passed. A run passes its configuration's, in which that is ``surrogate=sigmoid surrogate.alpha=1``: the default of α
    is 4.
    """

    learned_thresholds = ("v_threshold",)
    v_threshold: nn.Parameter

    def __init__(
        self,
        v_threshold: float = 1.0,
        surrogate_function: nn.Module | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        vth_init_l: float = 0.8,
        vth_init_h: float = 1.0,
    ) -> None:
        if not 0 < vth_init_l <= vth_init_h:
            raise ValueError(f"vth_init_l={vth_init_l} must be above 0 and at most vth_init_h={vth_init_h}")
        surrogate_function = surrogate_function or surrogate.Sigmoid(alpha=1.0)
        super().__init__(v_threshold, None, surrogate_function, detach_reset, step_mode)
        start = v_threshold * torch.empty(()).uniform_(vth_init_l, vth_init_h)
        del self.v_threshold
        self.v_threshold = nn.Parameter(start)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run one timestep, in SpikingJelly's terms: (x [N,…],), (v [N,…],) → (spikes [N,…],), (v [N,…],)."""
        h = states[0] + inputs[0]
        spike = self.surrogate_function(h - self.v_threshold)
        reset = spike.detach() if self.detach_reset else spike
        return (self.emitted(spike),), (h - self.v_threshold * reset,)

    def emitted(self, spike: Tensor) -> Tensor:
        """Convert spikes [N,…] of 0 and 1 to the neuron's output [N,…]."""
        return spike


class ATIF(IFSRL):
    """x [N,…] or [T,N,…] → spikes of 0 and θ: as `IFSRL`, with the output scaled by the learned threshold."""

    def emitted(self, spike: Tensor) -> Tensor:
        """Scale spikes [N,…] by θ → [N,…]."""
        return spike * self.v_threshold
