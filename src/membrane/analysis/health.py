"""The health of a network that learns: neurons that never or always fire, surrogate gradients that vanish, gradients.

Columns and what they mean: docs/health.md.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from membrane.analysis.listening import LayerCounts, observing, step_mode, valid_timesteps
from membrane.framework import Framework
from membrane.neurons import neuron_layers
from membrane.neurons.learned import learned_values
from membrane.scores import SATURATED

ACTIVE = 0.01
"""A surrogate gradient counts as active from this share of the surrogate's largest one."""
GRID = (-5.0, 5.0, 2001)
"""Potentials above the threshold on which a surrogate's largest gradient is looked for: first, last, their number."""
FEWEST, MOST = 2, 8
"""Samples of which the surrogates' gradients are looked at: an eighth of a batch, within these bounds."""
POTENTIALS = 4096
"""Potentials that are looked at, at most, at each call of a surrogate; they are spread evenly."""
WHOLE_SEQUENCES = (neuron.PSN, neuron.MaskedPSN, neuron.SlidingPSN)
"""Neurons that call their surrogate for all timesteps at once, with axes of their own."""
WITHOUT_SHARE = (neuron.ILIFNode,)
"""Neurons that take no surrogate but their own, which a watched one is not."""


class NeuronActivity(LayerCounts):
    """Counts how often each neuron fires."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.fired: dict[str, Tensor] = {}
        self.sizes: dict[str, Tensor | int] = {}

    def count(self, name: str, layer: nn.Module, output: Tensor) -> None:
        """Add a layer's output, as `LayerCounts` says."""
        output, mode = output.detach(), step_mode(self.model, layer)
        for frame in output if mode == "m" else (output,):  # of one timestep, as all at once are many times as slow
            step, fired = self.steps.get(name, 0), frame.sign().abs_()
            size: Tensor | int = len(frame)
            if self.lengths is not None:
                valid = valid_timesteps(frame, self.lengths, step, "s")
                fired, size = fired.mul_(valid), valid.sum()
            counts = fired.sum(0, dtype=torch.float32)
            self.fired[name] = self.fired[name].add_(counts) if name in self.fired else counts
            self.sizes[name] = self.sizes.get(name, 0) + size
            self.steps[name] = step + 1

    def shares(self) -> dict[str, dict[str, float]]:
        """Return column → layer → share of neurons, and of channels all of whose neurons are so; nan if none ran.

        ``silent`` neurons have never fired, ``saturated`` ones at more than 99 % of the timesteps.
        """
        shares: dict[str, dict[str, float]] = {name: {} for name in ACTIVITY}
        for layer in neuron_layers(self.model):
            values = [math.nan] * len(ACTIVITY)
            if layer in self.fired:
                counts, size = self.fired[layer], self.sizes[layer]
                odd = torch.stack([counts == 0, counts > SATURATED * size]).flatten(2 if counts.dim() > 1 else 1)
                channels = odd.all(-1) if odd.dim() > 2 else odd
                values = torch.cat([odd.flatten(1).float().mean(1), channels.float().mean(1)]).tolist()
            for name, value in zip(ACTIVITY, values, strict=True):
                shares[name][layer] = value
        return shares

    def reset(self) -> None:
        """Set all counts to zero."""
        super().reset()
        self.fired.clear()
        self.sizes.clear()


ACTIVITY = ("silent", "saturated", "silent_channels", "saturated_channels")
"""The columns of a layer's neurons."""


class WatchedSurrogate(nn.Module):
    """A surrogate that counts at how many potentials its gradient is active. Neurons run with it as their class does.

    ``lengths`` [N] are the valid timesteps, of which calls take one after the other; None counts all that comes.
    """

    def __init__(self, surrogate: nn.Module, lengths: Tensor | None) -> None:
        super().__init__()
        self.surrogate = surrogate
        self.lengths = lengths
        device = next((parameter.device for parameter in surrogate.parameters()), None)
        self.least = ACTIVE * slope(surrogate, torch.linspace(*GRID, device=device)).abs().max().item()
        self.calls, self.active, self.size = 0, 0, 0

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("surrogate"), name)

    def forward(self, u: Tensor, *arguments: Any) -> Tensor:
        """Count the potentials u above the threshold, and return the spikes."""
        seen = u if self.lengths is None else u[self.lengths > self.calls]
        seen = seen.flatten()[:: seen.numel() // POTENTIALS + 1]
        self.calls += 1
        self.active += int((slope(self.surrogate, seen).abs() >= self.least).sum())
        self.size += seen.numel()
        spikes: Tensor = self.surrogate(u, *arguments)
        return spikes

    def share(self) -> float:
        """Return the share of potentials with an active gradient; nan if it was never called."""
        return self.active / self.size if self.size else math.nan


def slope(surrogate: nn.Module, u: Tensor) -> Tensor:
    """Return the surrogate's gradient at each u, by autograd."""
    with torch.enable_grad():
        point = u.detach().float().requires_grad_()
        [gradient] = torch.autograd.grad(surrogate(point).sum(), point)
    return gradient


@contextmanager
def watched_surrogates(model: nn.Module, lengths: Tensor | None = None) -> Iterator[dict[str, WatchedSurrogate]]:
    """Put a watched surrogate into the place of each neuron layer's inside the block; those without one are left."""
    watched = {}
    for name, layer in neuron_layers(model).items():
        surrogate = getattr(layer, "surrogate_function", None)
        if isinstance(surrogate, nn.Module) and not isinstance(layer, WITHOUT_SHARE):
            watched[name] = WatchedSurrogate(surrogate, None if isinstance(layer, WHOLE_SEQUENCES) else lengths)
    layers = neuron_layers(model)
    try:
        for name, surrogate in watched.items():
            layers[name].surrogate_function = surrogate
        yield watched
    finally:
        for name, surrogate in watched.items():
            layers[name].surrogate_function = surrogate.surrogate


def samples_to_watch(batch_size: int) -> int:
    """Return of how many samples of a batch the surrogates' gradients are looked at: it costs as much as their step."""
    return min(max(batch_size // 8, FEWEST), MOST)


def active_shares(model: nn.Module, framework: Framework, x: Tensor, lengths: Tensor | None = None) -> dict[str, float]:
    """Return layer → share of surrogate gradients that are active for x [N,…] or [N,T,…], in eval mode.

    nan where a layer has no surrogate that can be watched.
    """
    with observing(model), watched_surrogates(model, lengths) as watched:
        framework(model, x, lengths)
    return {name: watched[name].share() if name in watched else math.nan for name in neuron_layers(model)}


class GradientNorms:
    """The mean over steps of the norm of each layer's gradient; a layer is a module with a matrix of weights."""

    def __init__(self, model: nn.Module) -> None:
        self.layers = {
            name: list(module.parameters(recurse=False))
            for name, module in model.named_modules()
            if any(parameter.dim() > 1 for parameter in module.parameters(recurse=False))
        }
        self.sums: Tensor | None = None
        self.steps = 0

    def measure(self) -> None:
        """Add the gradients as they are now; a parameter without one counts as 0. Nothing waits for the device."""
        norms = [
            total_norm([parameter.grad for parameter in parameters if parameter.grad is not None], parameters[0])
            for parameters in self.layers.values()
        ]
        if norms:
            sums = torch.stack(norms)
            self.sums = sums if self.sums is None else self.sums + sums
            self.steps += 1

    def means(self) -> dict[str, float]:
        """Return layer → mean norm since the last reset, nan without a step."""
        values = [math.nan] * len(self.layers) if self.sums is None else (self.sums / self.steps).tolist()
        return dict(zip(self.layers, values, strict=True))

    def reset(self) -> None:
        """Begin anew."""
        self.sums, self.steps = None, 0


def total_norm(gradients: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return the 2-norm [] of all gradients together, in float32; 0 on the device of ``like`` if there are none."""
    if not gradients:
        return like.new_zeros((), dtype=torch.float32)
    norms = [torch.linalg.vector_norm(each, dtype=torch.float32) for each in gradients]
    total: Tensor = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    return total


def constants(model: nn.Module) -> dict[str, float]:
    """Return the columns of learned time constants, in timesteps, and thresholds.

    ``tau/<layer>`` is the value, or of several the mean beside ``tau_min/<layer>`` and ``tau_max/<layer>``; and so with
    ``threshold``.
    """
    columns: dict[str, float] = {}
    for name, values in zip(("tau", "threshold"), learned_values(model), strict=True):
        for layer, value in values.items():
            columns[f"{name}/{layer}"] = value.float().mean().item()
            if value.numel() > 1:
                columns[f"{name}_min/{layer}"], columns[f"{name}_max/{layer}"] = value.min().item(), value.max().item()
    return columns
