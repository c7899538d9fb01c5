"""The integer leaky integrate-and-fire neuron: several spikes at a timestep, counted."""

from typing import Any

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn


class ILIF(neuron.ILIFNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,…] or [T,N,…] → spike counts 0 … D: a soft-reset LIF that fires up to D = ``max_spikes`` times a timestep.

    I-LIF (Luo et al. 2024, arXiv:2407.20708). h[t] = (1 − 1/τ)·v[t−1] + x[t], c[t] = round(clip(h[t]/θ, 0, D)),
    v[t] = h[t] − θ·c[t]. The gradient of c is 1/θ where 0 ≤ h/θ ≤ D, else 0. With ``binary`` evaluation sends counts to
    layers of weights as binary spikes: see `sum_over_slots`.
    """

    def __init__(
        self,
        tau: float = 4 / 3,
        v_threshold: float = 1.0,
        max_spikes: int = 4,
        detach_reset: bool = False,
        binary: bool = False,
    ) -> None:
        super().__init__(tau, v_threshold, surrogate.MultiLevelSpikeCount(max_spikes), detach_reset)
        self.binary = binary


def sends_binary_spikes(module: nn.Module) -> bool:
    """Return whether a module is an ILIF neuron whose counts reach weights as binary spikes in evaluation."""
    return isinstance(module, ILIF) and module.binary


def sum_over_slots(module: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """Return the sum Σ_d W·s_d + b over slots of binary spikes s_d = (c > d), d = 0, 1, …, for a layer of counts c.

    That is W·c + b but for rounding, in additions of weights alone. In training, and for an input that is no count, as
    behind an average pool, it is the output as it came.
    """
    x = inputs[0]
    if module.training or not is_count(x):
        return output
    b = 0 if module.bias is None else module.bias.reshape(-1, *[1] * (module.weight.dim() - 2))
    slots = [type(module).forward(module, (x > slot).to(x.dtype)) - b for slot in range(int(x.max()))]
    return torch.stack(slots).sum(0) + b if slots else output


def is_count(x: Tensor) -> bool:
    """Return whether x holds whole numbers from 0 up."""
    return bool((x >= 0).all() and (x == x.round()).all())
