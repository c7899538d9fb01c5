"""Neurons: which modules have membrane dynamics, and how one is built."""

from collections.abc import Callable
from typing import Any

from torch import nn

LIBRARY = "spikingjelly.activation_based.neuron"


def is_neuron(module: nn.Module) -> bool:
    """Whether a module has membrane dynamics: it, or what it inherits from, is one of SpikingJelly's neurons."""
    return any(kind.__module__ == LIBRARY or kind.__module__.startswith(f"{LIBRARY}.") for kind in type(module).__mro__)


def is_snn(model: nn.Module) -> bool:
    """Whether a model has any neuron; without one it is an ANN, for which repeating an input in time is waste."""
    return any(is_neuron(module) for module in model.modules())


def make_neuron(
    kind: Callable[..., nn.Module], surrogate: Callable[[], nn.Module] | None, **parameters: Any
) -> nn.Module:
    """One fresh neuron with a surrogate object of its own: SpikingJelly's default one is shared by all neurons."""
    if surrogate is None:
        return kind(**parameters)
    return kind(surrogate_function=surrogate(), **parameters)
