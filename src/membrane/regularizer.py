"""Penalties on the activity of layers, added to any loss in training and to none in evaluation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from membrane.analysis.listening import listening, valid_timesteps
from membrane.errors import ConfigError
from membrane.neurons import neuron_layers

Penalty = Callable[[], Tensor]


class Regularizer(Protocol):
    """To be used as ``with regularizer.listening(lengths) as penalty: framework(model, x, lengths)``, then
    ``loss + penalty()``.
    """

    def listening(self, lengths: Tensor | None) -> AbstractContextManager[Penalty]:
        """Listen to the layers during one forward pass; the context's value returns the penalty [], with a gradient."""


class FiringRate:
    """weight · Σ_layers relu(lower − r)² + relu(r − upper)², r the layer's mean output.

    The mean is over neurons, valid timesteps and samples. It equals the firing rate if spikes are 0 or 1, and is
    differentiable through the surrogate. The bounds on activity follow Zenke and Vogels 2021
    (doi:10.1162/neco_a_01367), as a band on rates. ``layers`` maps the dotted names of single layers to a band
    [lower, upper] of their own. Raises ConfigError if such a name is not a neuron layer, or if the model has none.
    """

    def __init__(
        self,
        model: nn.Module,
        lower: float = 0.01,
        upper: float = 0.2,
        weight: float = 1.0,
        layers: Mapping[str, Sequence[float]] = {},
    ) -> None:
        self.layers = neuron_layers(model)
        if not self.layers:
            raise ConfigError("regularizer: the model has no neuron layers; use regularizer=none")
        for name in layers:
            if name not in self.layers:
                raise ConfigError(f"regularizer.layers: {name} is no neuron layer, there are {', '.join(self.layers)}")
        self.bands = {name: layers.get(name, (lower, upper)) for name in self.layers}
        self.weight = weight

    @contextmanager
    def listening(self, lengths: Tensor | None) -> Iterator[Penalty]:
        """Hook every neuron layer inside the block; the value yielded returns the penalty [] of what was recorded."""
        records: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        steps = dict.fromkeys(self.layers, 0)

        def record(name: str, layer: nn.Module, output: Tensor) -> None:
            mode = str(getattr(layer, "step_mode", "s"))
            records[name].append(sum_and_count(output, lengths, steps[name], mode))
            steps[name] += len(output) if mode == "m" else 1

        with listening(self.layers, record):
            yield lambda: self.penalty(records)

    def penalty(self, records: Mapping[str, Sequence[Tensor]]) -> Tensor:
        """Reduce each layer's records, one (sum, count) [2] for each call, to the penalty [].

        Raises ConfigError for a layer that was not called.
        """
        costs = []
        for name, calls in records.items():
            if not calls:
                raise ConfigError(f"regularizer: neuron layer {name} has no firing rate, forward never calls it")
            lower, upper = self.bands[name]
            total, count = torch.stack(list(calls)).sum(0)
            rate = total / count
            costs.append((lower - rate).relu().square() + (rate - upper).relu().square())
        return self.weight * torch.stack(costs).sum()


def sum_and_count(output: Tensor, lengths: Tensor | None, step: int, mode: str) -> Tensor:
    """Sum and count valid outputs, [T,N,…] (mode 'm') or [N,…] ('s') of the timesteps from ``step`` on → [2]."""
    dtype = torch.promote_types(output.dtype, torch.float32)
    if lengths is None:
        return torch.stack([output.sum(dtype=dtype), output.new_tensor(output.numel(), dtype=dtype)])
    valid = valid_timesteps(output, lengths, step, mode)
    count = valid.sum(dtype=dtype) * (output.numel() // valid.numel())
    return torch.stack([output.masked_fill(~valid, 0).sum(dtype=dtype), count])
