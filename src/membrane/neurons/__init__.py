"""Neurons: which modules have membrane dynamics, and how one is built."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from torch import nn

from membrane.errors import ConfigError
from membrane.randomness import scoped

HOMES = ("spikingjelly.activation_based.neuron.", "membrane.neurons.")


def is_neuron(module: nn.Module) -> bool:
    """Whether a module has membrane dynamics: it, or what it inherits from, is SpikingJelly's neuron or ours."""
    return any(f"{kind.__module__}.".startswith(HOMES) for kind in type(module).__mro__)


def is_snn(model: nn.Module) -> bool:
    """Whether a model has any neuron; without one it is an ANN, for which repeating an input in time is waste."""
    return any(is_neuron(module) for module in model.modules())


def neuron_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The neuron layers by dotted name, in the order of the tree; of an ANN, which has none, its ReLUs."""
    snn = is_snn(model)
    return {
        name: module
        for name, module in model.named_modules()
        if (is_neuron(module) if snn else isinstance(module, nn.ReLU))
    }


@dataclass
class NeuronFactory:
    """A fresh neuron at every call, with what only the run knows: T, and draws that are its own.

    A neuron that draws its parameters at the start does so from the stream (seed, initialisation.neurons, its number),
    so that the layers around it begin with the weights that they have in every other network of that seed. T goes to
    a neuron that learns something for each timestep.
    """

    kind: Callable[..., nn.Module]
    surrogate: Callable[[], nn.Module] | None
    parameters: Mapping[str, Any]
    timesteps: int
    seed: int
    spiking: bool = True
    made: int = field(default=0, init=False)

    @property
    def v_threshold(self) -> float:
        """The threshold that a layer before a neuron may be scaled to."""
        value = self.parameters.get("v_threshold", self.parameters.get("init_v_threshold", 1.0))
        return float(value)

    def __call__(self) -> nn.Module:
        """The next neuron. ConfigError as `make_neuron`."""
        self.made += 1
        told = {"T": self.timesteps} if "T" in signature(self.kind).parameters else {}
        with scoped(self.seed, "initialisation.neurons", self.made):
            made = make_neuron(self.kind, self.surrogate, **{**told, **self.parameters})
        if self.spiking and not is_neuron(made):
            raise ConfigError(
                f"{name_of(self.kind)} is no neuron: it must inherit from one of SpikingJelly's, as BaseNode"
            )
        return made


def make_neuron(
    kind: Callable[..., nn.Module], surrogate: Callable[[], nn.Module] | None, **parameters: Any
) -> nn.Module:
    """One fresh neuron, or activation in its place, with a surrogate object of its own.

    SpikingJelly's default surrogate is one object shared by all neurons, so it is never used. Raises ConfigError where
    a parameter is unknown or out of range (SpikingJelly asserts without a message), and where a surrogate is missing
    or has no place, as in the ANN twin's ReLU.
    """
    known = signature(kind).parameters
    values = {name: checked(kind, known, name, value) for name, value in parameters.items()}
    values |= own_surrogate(kind, known, surrogate)
    try:
        signature(kind).bind(**values)
    except TypeError as error:
        raise ConfigError(f"{name_of(kind)}: {error}, there are {', '.join(known)}") from None
    try:
        return kind(**values)
    except AssertionError as error:
        said = ", ".join(f"{name}={value}" for name, value in parameters.items())
        raise ConfigError(f"{name_of(kind)} does not accept {said}") from error
    except ValueError as error:
        raise ConfigError(f"{name_of(kind)}: {error}") from error


def checked(kind: Callable[..., nn.Module], known: Mapping[str, Parameter], name: str, value: Any) -> Any:
    """A parameter's value, an int as a float where the default is one; ConfigError where it cannot be meant."""
    where = f"{name_of(kind)}: {name}={value}"
    if name not in known:
        if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in known.values()):
            return value
        raise ConfigError(f"{where}: no such parameter, there are {', '.join(known)}")
    default = known[name].default
    if isinstance(default, bool) and not isinstance(value, bool):
        raise ConfigError(f"{where} must be true or false")
    if isinstance(default, bool) or not isinstance(default, float) or (name == "v_reset" and value is None):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{where} must be a number" + (", or null for a soft reset" if name == "v_reset" else ""))
    if name in ("tau", "init_tau") and value <= 1 < default:  # GLIF's is the inverse, below 1
        raise ConfigError(f"{where} must be greater than 1")
    return float(value)


def own_surrogate(
    kind: Callable[..., nn.Module], known: Mapping[str, Parameter], surrogate: Callable[[], nn.Module] | None
) -> dict[str, nn.Module]:
    """The keyword argument that hands a fresh surrogate to a neuron that takes one."""
    place = known.get("surrogate_function")
    if surrogate is None:
        if place is not None and place.default is not None:
            raise ConfigError(f"{name_of(kind)} needs a surrogate gradient, such as surrogate=atan")
        return {}
    if place is None:
        raise ConfigError(f"{name_of(kind)} has no surrogate gradient: leave it out with ~surrogate")
    if isinstance(surrogate, nn.Module):
        raise TypeError(f"surrogate must build one, a class for example: {surrogate} would be shared by all neurons")
    made = surrogate()
    if not isinstance(made, nn.Module):
        raise ConfigError(f"surrogate must be one of SpikingJelly's surrogate gradients, got {made!r}")
    return {"surrogate_function": made}


def name_of(kind: Callable[..., nn.Module]) -> str:
    """LIFNode."""
    return str(getattr(kind, "__name__", kind))
