"""Firing rates per layer: the fraction of non-zero outputs over neurons, valid timesteps and samples.

Measured by forward hooks, which exist only while measuring. The mean output is a second number: it differs where
outputs are 0, 1, 2 … or spikes are scaled.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from membrane.framework import Framework
from membrane.models.own_time import OwnsTime
from membrane.neurons import neuron_layers
from membrane.randomness import scoped

SILENT, SATURATED = 0.001, 0.99

Hook = Callable[[str, nn.Module, Tensor], None]


class FiringRates:
    """Counts the outputs of every neuron layer over the batches that run inside the ``with`` block.

    ``with rates: rates.start(lengths); framework(model, x, lengths)``. The counts stay on the device until they are
    read, so no batch waits for it.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.lengths: Tensor | None = None
        self.steps: dict[str, int] = {}
        self.sums: dict[str, Tensor] = {}
        self.handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        self.handles = hooked(self.model, self.count)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def start(self, lengths: Tensor | None = None) -> None:
        """Begin a batch: lengths [N] counts the valid timesteps of each sample (None: all of them)."""
        self.lengths = lengths
        self.steps.clear()

    def count(self, name: str, layer: nn.Module, output: Tensor) -> None:
        """Add a layer's output, [N,…] of one timestep or [T,N,…] of several, as its own step mode says."""
        step, mode = self.steps.get(name, 0), step_mode(self.model, layer)
        self.steps[name] = step + (len(output) if mode == "m" else 1)
        size = output.new_full((), output.numel(), dtype=torch.float64)
        if self.lengths is not None:
            valid = valid_timesteps(output, self.lengths, step, mode)
            size = valid.sum(dtype=torch.float64) * (output.numel() // valid.numel())
            output = output.where(valid, torch.zeros_like(output))
        sums = torch.stack([output.count_nonzero().double(), output.sum(dtype=torch.float64), size])
        self.sums[name] = self.sums[name] + sums if name in self.sums else sums

    def rates(self) -> dict[str, float]:
        """Layer → fraction of non-zero outputs in [0,1]; nan where nothing was counted."""
        return {name: nonzero / size if size else math.nan for name, (nonzero, _, size) in self.read().items()}

    def means(self) -> dict[str, float]:
        """Layer → mean output: the rate where spikes are 0 or 1; nan where nothing was counted."""
        return {name: total / size if size else math.nan for name, (_, total, size) in self.read().items()}

    def read(self) -> dict[str, list[float]]:
        """Every layer → non-zero outputs, their sum, how many outputs there were: the one wait for the device."""
        counted = torch.stack(list(self.sums.values())).tolist() if self.sums else []
        found = dict(zip(self.sums, counted, strict=True))
        return {name: found.get(name, [0.0, 0.0, 0.0]) for name in neuron_layers(self.model)}

    def reset(self) -> None:
        """Forget all that was counted."""
        self.sums.clear()
        self.steps.clear()


def step_mode(model: nn.Module, layer: nn.Module) -> str:
    """'s' or 'm': the layer's own; of one that has none, such as a ReLU, that of the model's other layers.

    The framework gives all layers the same, but those of a model that owns time stay in 'm' under every framework.
    """
    around = (module for module in model.modules() if not isinstance(module, OwnsTime))
    return next((str(module.step_mode) for module in (layer, *around) if hasattr(module, "step_mode")), "s")


def valid_timesteps(output: Tensor, lengths: Tensor, step: int, mode: str) -> Tensor:
    """Output of timesteps from ``step`` on, [T,N,…] ('m') or [N,…] ('s') → mask that broadcasts over it. ValueError."""
    lead = 2 if mode == "m" else 1
    if output.shape[lead - 1 : lead] != lengths.shape:
        shape = list(output.shape)
        raise ValueError(f"in step mode {mode!r} a layer's output {shape} does not fit {len(lengths)} lengths")
    times = step + torch.arange(len(output), device=output.device)[:, None] if lead == 2 else step
    mask: Tensor = lengths > times
    return mask.reshape(*mask.shape, *[1] * (output.dim() - lead))


def hooked(model: nn.Module, receive: Hook) -> list[RemovableHandle]:
    """Send what every neuron layer puts out to ``receive(name, layer, output)``."""

    def hook(name: str, module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        receive(name, module, output.detach())

    return [layer.register_forward_hook(partial(hook, name)) for name, layer in neuron_layers(model).items()]


def record_spikes(model: nn.Module, framework: Framework, x: Tensor) -> dict[str, Tensor]:
    """One sample x [1,…] → the outputs of every neuron layer [T,neurons], on the CPU."""
    if len(x) != 1:
        raise ValueError(f"spikes are recorded of one sample, x [1,…], got {list(x.shape)}")
    recorded: dict[str, list[Tensor]] = {}
    # With N = 1 the first axis is time in 'm' and counts one timestep in 's': both flatten to [timesteps, neurons].
    handles = hooked(model, lambda name, _, output: recorded.setdefault(name, []).append(output.flatten(1)))
    try:
        with observing(model):
            framework(model, x)
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.cat(outputs).float().cpu() for name, outputs in recorded.items()}


@contextmanager
def observing(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients in the block; after it flags and random state are as before, and neurons reset."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), scoped(0, "observation"):
            yield
    finally:
        for module, flag in training.items():
            module.training = flag
            reset = getattr(module, "reset", None)
            if callable(reset):
                reset()


def odd_layers(rates: Mapping[str, float]) -> list[str]:
    """One line for each layer that is silent (< 0.1 %) or saturated (> 99 %), and what helps."""
    lines = []
    for layer, rate in rates.items():
        shown = f"({100 * rate:.2f} % of outputs non-zero)"
        if rate < SILENT:
            lines.append(f"{layer} is silent {shown}: lower v_threshold or raise its input (gain, learning rate)")
        elif rate > SATURATED:
            lines.append(f"{layer} is saturated {shown}: raise v_threshold or lower its input (gain, learning rate)")
    return lines
