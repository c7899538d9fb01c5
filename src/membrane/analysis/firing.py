"""Firing rates per layer: the fraction of non-zero outputs over neurons, valid timesteps and samples.

The mean output is a second number: it differs from the rate if outputs are 0, 1, 2 … or spikes are scaled.
"""

import math
from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from membrane.analysis.listening import LayerCounts, listening, observing, step_mode, valid_timesteps
from membrane.framework import Framework
from membrane.neurons import neuron_layers
from membrane.scores import SATURATED, SILENT


class FiringRates(LayerCounts):
    """Counts the non-zero outputs of every neuron layer, their sum and their number."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.sums: dict[str, Tensor] = {}

    def count(self, name: str, layer: nn.Module, output: Tensor) -> None:
        """Add a layer's output, as `LayerCounts` says."""
        output = output.detach()
        step, mode = self.steps.get(name, 0), step_mode(self.model, layer)
        self.steps[name] = step + (len(output) if mode == "m" else 1)
        size = output.new_full((), output.numel(), dtype=torch.float64)
        if self.lengths is not None:
            valid = valid_timesteps(output, self.lengths, step, mode)
            size = valid.sum(dtype=torch.float64) * (output.numel() // valid.numel())
            output = output.where(valid, torch.zeros_like(output))
        sums = torch.stack([*nonzero_and_sum(output), size])
        self.sums[name] = self.sums[name] + sums if name in self.sums else sums

    def rates(self) -> dict[str, float]:
        """Return layer → fraction of non-zero outputs in [0,1]; nan if nothing was counted."""
        return {name: nonzero / size if size else math.nan for name, (nonzero, _, size) in self.read_counts().items()}

    def means(self) -> dict[str, float]:
        """Return layer → mean output, the firing rate if spikes are 0 or 1; nan if nothing was counted."""
        return {name: total / size if size else math.nan for name, (_, total, size) in self.read_counts().items()}

    def read_counts(self) -> dict[str, list[float]]:
        """Return layer → [non-zero outputs, sum, number of outputs]; the only wait for the device."""
        sums = torch.stack(list(self.sums.values())).tolist() if self.sums else []
        counts = dict(zip(self.sums, sums, strict=True))
        return {name: counts.get(name, [0.0, 0.0, 0.0]) for name in neuron_layers(self.model)}

    def reset(self) -> None:
        """Set all counts to zero."""
        super().reset()
        self.sums.clear()


def nonzero_and_sum(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many values of a tensor are not 0, and the sum of all, as float64 [] on its device.

    On the CPU NumPy counts spikes in a fifteenth of the time that torch takes for both: where all values that are not 0
    are 1, their number is their sum.
    """
    if output.device.type == "cpu" and output.dtype == torch.float32:
        values = output.numpy()
        nonzero = torch.tensor(np.count_nonzero(values != 0), dtype=torch.float64)
        if np.count_nonzero(values == 1) == nonzero:
            return nonzero, nonzero
    return output.count_nonzero().double(), output.sum(dtype=torch.float64)


def record_spikes(model: nn.Module, framework: Framework, x: Tensor) -> dict[str, Tensor]:
    """Record one sample x [1,…] → the outputs of every neuron layer [T,neurons], on the CPU."""
    if len(x) != 1:
        raise ValueError(f"spikes are recorded of one sample, x [1,…], got {list(x.shape)}")
    recorded: dict[str, list[Tensor]] = {}

    def keep(name: str, _layer: nn.Module, output: Tensor) -> None:
        # with N = 1 the first axis is time in 'm' and counts one timestep in 's': both flatten to [timesteps, neurons]
        recorded.setdefault(name, []).append(output.flatten(1))

    with listening(neuron_layers(model), keep), observing(model):
        framework(model, x)
    return {name: torch.cat(outputs).float().cpu() for name, outputs in recorded.items()}


def odd_layers(rates: Mapping[str, float], analog: Collection[str] = ()) -> list[str]:
    """Return a line for each layer that is silent (< 0.1 %) or saturated (> 99 %), with a remedy.

    An ``analog`` layer is never saturated: no real number that it puts out need be 0.
    """
    lines = []
    for layer, rate in rates.items():
        shown = f"({100 * rate:.2f} % of outputs non-zero)"
        if rate < SILENT:
            lines.append(f"{layer} is silent {shown}: lower v_threshold or raise its input (gain, learning rate)")
        elif rate > SATURATED and layer not in analog:
            lines.append(f"{layer} is saturated {shown}: raise v_threshold or lower its input (gain, learning rate)")
    return lines
