"""Penalties on what the layers do while training, added to any loss; an evaluation's loss does not contain them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from membrane.analysis.firing import valid_timesteps
from membrane.errors import ConfigError
from membrane.neurons import neuron_layers

Penalty = Callable[[], Tensor]


class Regularizer(Protocol):
    """``with regularizer.listening(lengths) as penalty: framework(model, x, lengths)``; then ``loss + penalty()``."""

    def listening(self, lengths: Tensor | None) -> AbstractContextManager[Penalty]:
        """Listen to one training forward; the penalty [] has a gradient."""


class FiringRate:
    """weight · Σ_layers relu(lower − r)² + relu(r − upper)², r the layer's mean output.

    The mean is over neurons, valid timesteps and samples: the firing rate where spikes are 0 or 1, and differentiable
    through the surrogate. After the bounds on activity of Zenke and Vogels 2021 (doi:10.1162/neco_a_01367), as a band
    on rates. ``layers`` gives a layer, by its dotted name, a band [lower, upper] of its own. ConfigError for a name
    that is no neuron layer, and for a model that has none.
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
        """Hooks on every neuron layer while the block runs; what is yielded gives the penalty [] of all it heard."""
        heard: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        steps = dict.fromkeys(self.layers, 0)

        def hear(name: str, layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            mode = str(getattr(layer, "step_mode", "s"))
            heard[name].append(summed(output, lengths, steps[name], mode))
            steps[name] += len(output) if mode == "m" else 1

        handles = [layer.register_forward_hook(partial(hear, name)) for name, layer in self.layers.items()]
        try:
            yield lambda: self.penalty(heard)
        finally:
            for handle in handles:
                handle.remove()

    def penalty(self, heard: Mapping[str, Sequence[Tensor]]) -> Tensor:
        """Layer → (sum, number) of each call's outputs, [2] → the penalty []."""
        costs = []
        for name, calls in heard.items():
            lower, upper = self.bands[name]
            total, number = torch.stack(list(calls)).sum(0)
            rate = total / number
            costs.append((lower - rate).relu().square() + (rate - upper).relu().square())
        return self.weight * torch.stack(costs).sum()


def summed(output: Tensor, lengths: Tensor | None, step: int, mode: str) -> Tensor:
    """Outputs of timesteps from ``step`` on, [T,N,…] ('m') or [N,…] ('s') → their sum and number, [2], where valid."""
    kind = torch.promote_types(output.dtype, torch.float32)
    if lengths is None:
        return torch.stack([output.sum(dtype=kind), output.new_tensor(output.numel(), dtype=kind)])
    valid = valid_timesteps(output, lengths, step, mode)
    number = valid.sum(dtype=kind) * (output.numel() // valid.numel())
    return torch.stack([output.masked_fill(~valid, 0).sum(dtype=kind), number])
