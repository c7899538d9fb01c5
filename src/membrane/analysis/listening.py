"""Listening to a model's layers: forward hooks that exist only inside a ``with`` block."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from membrane.fast.recomputation import is_recomputing
from membrane.models.own_time import OwnsTime
from membrane.neurons import neuron_layers
from membrane.randomness import scoped

Receiver = Callable[[str, nn.Module, Any], None]


@contextmanager
def listening(
    layers: Mapping[str, nn.Module], receive: Receiver, begin: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Call ``receive(name, layer, output)`` after every forward of the named layers while the block runs.

    A forward that the backward pass runs again, as `recomputation` explains, is not one of them.

    With ``begin`` that is called with the name before every forward, and ``receive`` also after one that raised (then
    the output is None), so that calls of both come in pairs.
    """

    def before(name: str, _layer: nn.Module, _inputs: Any) -> None:
        if begin is not None and not is_recomputing():
            begin(name)

    def after(name: str, layer: nn.Module, _inputs: Any, output: Any) -> None:
        if not is_recomputing():
            receive(name, layer, output)

    with ExitStack() as hooks:
        for name, layer in layers.items():
            if begin is not None:
                hooks.enter_context(layer.register_forward_pre_hook(partial(before, name)))
            hooks.enter_context(layer.register_forward_hook(partial(after, name), always_call=begin is not None))
        yield


class LayerCounts(ABC):
    """Counts what every neuron layer puts out over the batches that run inside the ``with`` block.

    ``with counts: counts.start(lengths); framework(model, x, lengths)``. The counts stay on the device until they are
    read, so no batch waits for it.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.lengths: Tensor | None = None
        self.steps: dict[str, int] = {}
        self.hooks = ExitStack()

    def __enter__(self) -> Self:
        self.hooks.enter_context(listening(neuron_layers(self.model), self.count))
        return self

    def __exit__(self, *_: object) -> None:
        self.hooks.close()

    def start(self, lengths: Tensor | None = None) -> None:
        """Begin a batch: lengths [N] counts the valid timesteps of each sample (None: all of them)."""
        self.lengths = lengths
        self.steps.clear()

    @abstractmethod
    def count(self, name: str, layer: nn.Module, output: Tensor) -> None:
        """Add a layer's output, [N,…] of one timestep or [T,N,…] of several, as its own step mode says.

        ``steps`` has the timesteps of the batch that the layer has put out before.
        """

    def reset(self) -> None:
        """Set all counts to zero."""
        self.steps.clear()


@contextmanager
def observing(model: nn.Module) -> Iterator[None]:
    """Run the block in eval mode without gradients; then restore flags and random state, and reset the neurons."""
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


def step_mode(model: nn.Module, layer: nn.Module) -> str:
    """Return 's' or 'm': the layer's own mode, or that of the model's other layers if it has none, as a ReLU.

    The framework gives all layers the same, but those of a model that owns time stay in 'm' under every framework.
    """
    around = (module for module in model.modules() if not isinstance(module, OwnsTime))
    return next((str(module.step_mode) for module in (layer, *around) if hasattr(module, "step_mode")), "s")


def valid_timesteps(output: Tensor, lengths: Tensor, step: int, mode: str) -> Tensor:
    """Output of timesteps from ``step`` on, [T,N,…] ('m') or [N,…] ('s') → mask that broadcasts over it.

    Raises ValueError if the output's batch does not fit ``lengths`` [N].
    """
    lead = 2 if mode == "m" else 1
    if output.shape[lead - 1 : lead] != lengths.shape:
        shape = list(output.shape)
        raise ValueError(f"in step mode {mode!r} a layer's output {shape} does not fit {len(lengths)} lengths")
    times = step + torch.arange(len(output), device=output.device)[:, None] if lead == 2 else step
    mask: Tensor = lengths > times
    return mask.reshape(*mask.shape, *[1] * (output.dim() - lead))
