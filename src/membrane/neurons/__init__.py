"""Neurons: recognising them in a model, and building them."""

import math
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from torch import nn

from membrane.errors import ConfigError, located_line
from membrane.randomness import scoped

KNOWN_PACKAGES = ("torch", "spikingjelly", "membrane")
"""Packages of classes that are not the user's own."""
SIMPLE = (bool, int, float, str, type(None))
"""Types of settings that an attribute holds as they came."""
HOMES = ("spikingjelly.activation_based.neuron.", "membrane.neurons.")
SURROGATES = "membrane.neurons.surrogates."
"""The module of our surrogate gradients, which lies among the neurons' and has none."""


def is_neuron(module: nn.Module) -> bool:
    """Return whether a module has membrane dynamics: whether a class of its is SpikingJelly's neuron or ours."""
    homes = [f"{base.__module__}." for base in type(module).__mro__]
    return SURROGATES not in homes and any(home.startswith(HOMES) for home in homes)


def is_own_neuron(neuron_class: Callable[..., nn.Module]) -> bool:
    """Return whether a class is the user's own and inherits from a neuron of SpikingJelly's or ours."""
    own, *bases = [f"{base.__module__}." for base in getattr(neuron_class, "__mro__", (neuron_class,))]
    return own.partition(".")[0] not in KNOWN_PACKAGES and any(base.startswith(HOMES) for base in bases)


def is_snn(model: nn.Module) -> bool:
    """Return whether a model has a neuron. If not, it is an ANN, for which repeating an input in time is a waste."""
    return any(is_neuron(module) for module in model.modules())


def neuron_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the neuron layers by dotted name, in the order of the tree; for an ANN, which has none, its ReLUs."""
    snn = is_snn(model)
    return {
        name: module
        for name, module in model.named_modules()
        if (is_neuron(module) if snn else isinstance(module, nn.ReLU))
    }


@dataclass
class NeuronFactory:
    """Builds a fresh neuron at every call.

    A neuron that draws its initial parameters does so from the stream (seed, ``initialisation.neurons``, its number),
    so that the layers around it begin with the same weights as in every other network of that seed. A neuron that
    learns something for each timestep receives T.

    Arguments:
        neuron_class: SpikingJelly's or ours, or an activation in its place.
        surrogate: builds a surrogate gradient for each neuron; None for an activation.
        parameters: keyword arguments of the class.
        timesteps: T.
        seed: the run's seed.
        spiking: refuse classes that are not neurons; False for the ANN twin.

    ``count`` is the number of neurons built so far.
    """

    neuron_class: Callable[..., nn.Module]
    surrogate: Callable[[], nn.Module] | None
    parameters: Mapping[str, Any]
    timesteps: int
    seed: int
    spiking: bool = True
    count: int = field(default=0, init=False)

    @property
    def v_threshold(self) -> float:
        """Return the firing threshold, to which some norms scale their output."""
        value = self.parameters.get("v_threshold", self.parameters.get("init_v_threshold", 1.0))
        return float(value)

    def __call__(self) -> nn.Module:
        """Build the next neuron. Raises ConfigError as `make_neuron`."""
        self.count += 1
        timesteps = {"T": self.timesteps} if "T" in accepted_parameters(self.neuron_class) else {}
        with scoped(self.seed, "initialisation.neurons", self.count):
            neuron = make_neuron(self.neuron_class, self.surrogate, **{**timesteps, **self.parameters})
        if self.spiking and not is_neuron(neuron):
            raise no_neuron(self.neuron_class)
        return neuron


def make_neuron(
    neuron_class: Callable[..., nn.Module], surrogate: Callable[[], nn.Module] | None, **parameters: Any
) -> nn.Module:
    """Build a neuron, or an activation in its place, with a surrogate object of its own.

    SpikingJelly's default surrogate is not used, because all neurons share it. Raises ConfigError if a parameter is
    unknown or out of range (SpikingJelly asserts without a message), if the class is no module, if a surrogate is
    missing or not accepted, as by the ANN twin's ReLU, or if a constructor that takes ``**settings`` drops one of them.
    """
    accepted = accepted_parameters(neuron_class)
    values = {name: convert_parameter(neuron_class, accepted, name, value) for name, value in parameters.items()}
    values |= surrogate_argument(neuron_class, accepted, surrogate)
    try:
        signature(neuron_class).bind(**values)
    except TypeError as error:
        raise ConfigError(f"{class_name(neuron_class)}: {error}, there are {', '.join(accepted)}") from None
    neuron = construct(neuron_class, values, parameters)
    if not isinstance(neuron, nn.Module):
        raise no_neuron(neuron_class)
    function = values.get("surrogate_function")
    if "surrogate_function" not in signature(neuron_class).parameters and function not in (None, *neuron.modules()):
        dropped = "drops the surrogate gradient that its constructor receives"
        raise ConfigError(f"{class_name(neuron_class)} {dropped}: pass it on to the base, or leave it out, ~surrogate")
    refuse_dropped_settings(neuron_class, neuron, values, parameters.keys())
    return neuron


def refuse_dropped_settings(
    neuron_class: Callable[..., nn.Module], neuron: nn.Module, arguments: Mapping[str, Any], names: Set[str]
) -> None:
    """Raise ConfigError if a constructor that takes ``**settings`` does not pass one of those ``names`` on.

    ``neuron`` was built with ``arguments``. A setting is dropped if the attribute of its name has another value, the
    same as in a neuron that is built without it. One that equals the default of a base class may be dropped.
    """
    accepted = accepted_parameters(neuron_class)
    for name in names - signature(neuron_class).parameters.keys():
        value, built = arguments[name], getattr(neuron, name, arguments[name])
        if built == value or not isinstance(built, SIMPLE) or (name in accepted and value == accepted[name].default):
            continue
        try:
            without = neuron_class(**{key: each for key, each in arguments.items() if key != name})
        except Exception:  # the constructor does something with it: it needs it
            continue
        if getattr(without, name, value) == built:
            drops = f"{class_name(neuron_class)} drops {name}={value}, which its constructor receives"
            raise ConfigError(f"{drops}: pass it on to the base, or leave neuron.{name} out")


def no_neuron(neuron_class: Callable[..., nn.Module]) -> ConfigError:
    """Return the error of a class that is no neuron."""
    name = class_name(neuron_class)
    return ConfigError(f"{name} is no neuron: it must inherit from one of SpikingJelly's, as BaseNode")


def construct(
    neuron_class: Callable[..., nn.Module], arguments: Mapping[str, Any], parameters: Mapping[str, Any]
) -> nn.Module:
    """Call a neuron's constructor. Raises ConfigError, with the ``parameters`` as they came, if it refuses one.

    The error of a user's own constructor comes with its file and line.
    """
    try:
        return neuron_class(**arguments)
    except ConfigError:
        raise
    except Exception as error:
        package = neuron_class.__module__.partition(".")[0]
        own = "" if package in KNOWN_PACKAGES else located_line(error, [package])
        line = construction_line(class_name(neuron_class), error, parameters)
        if own:
            line = f"{line} ({own})" if line and not isinstance(error, ValueError) else own
        if not line:
            raise
        raise ConfigError(line) from error


def construction_line(name: str, error: Exception, parameters: Mapping[str, Any]) -> str:
    """Return what is wrong with the ``parameters`` if a constructor's error tells; "" otherwise."""
    if isinstance(error, AssertionError):
        return f"{name} does not accept {', '.join(f'{key}={value}' for key, value in parameters.items())}"
    if isinstance(error, ValueError):
        return f"{name}: {error}"
    # a constructor with **settings that sets one of its base's itself
    twice = re.search(r"got multiple values for keyword argument '(\w+)'", str(error))
    if twice is None or not isinstance(error, TypeError):
        return ""
    setting = "surrogate" if twice[1] == "surrogate_function" else f"neuron.{twice[1]}"
    return f"{name} sets {twice[1]} itself, which it receives too: leave out {setting}"


def accepted_parameters(neuron_class: Callable[..., nn.Module]) -> dict[str, Parameter]:
    """Return the parameters that a constructor takes by name, those that its ``**settings`` pass to base classes too.

    A ``**settings`` that no further constructor takes up stays among them.
    """
    constructors = [base.__init__ for base in getattr(neuron_class, "__mro__", ()) if "__init__" in vars(base)]
    parameters = dict(signature(neuron_class).parameters)
    for constructor in constructors[1:]:
        rest = [name for name, parameter in parameters.items() if parameter.kind is Parameter.VAR_KEYWORD]
        if not rest or constructor in (nn.Module.__init__, object.__init__):
            break
        for name in rest:
            del parameters[name]
        _, *inherited = signature(constructor).parameters.values()
        parameters = {**{parameter.name: parameter for parameter in inherited}, **parameters}
    return {name: each for name, each in parameters.items() if each.kind is not Parameter.VAR_POSITIONAL}


def convert_parameter(
    neuron_class: Callable[..., nn.Module], accepted: Mapping[str, Parameter], name: str, value: Any
) -> Any:
    """Convert a parameter's int to a float if its default is one. Raises ConfigError if the value cannot be meant."""
    where = f"{class_name(neuron_class)}: {name}={value}"
    if name not in accepted:
        if takes_any(accepted):
            return value
        raise ConfigError(f"{where}: no such parameter, there are {', '.join(accepted)}")
    default = accepted[name].default
    if isinstance(default, bool) and not isinstance(value, bool):
        raise ConfigError(f"{where} must be true or false")
    if isinstance(default, bool) or not isinstance(default, float) or (name == "v_reset" and value is None):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{where} must be a number" + (", or null for a soft reset" if name == "v_reset" else ""))
    if name in ("tau", "init_tau") and value <= 1 < default:  # GLIF's is the inverse, below 1
        raise ConfigError(f"{where} must be greater than 1")
    return float(value)


def surrogate_argument(
    neuron_class: Callable[..., nn.Module],
    accepted: Mapping[str, Parameter],
    surrogate: Callable[[], nn.Module] | None,
) -> dict[str, nn.Module]:
    """Build a surrogate, as the keyword argument of a neuron that accepts one.

    A constructor with ``**settings`` may pass one of its own to its base. Raises ConfigError if one is missing, not
    accepted, or not a module; TypeError for one that would be shared.
    """
    if surrogate is None:
        parameter = signature(neuron_class).parameters.get("surrogate_function")
        if parameter is not None and parameter.default is not None:
            raise ConfigError(f"{class_name(neuron_class)} needs a surrogate gradient, such as surrogate=atan")
        return {}
    if "surrogate_function" not in accepted and not takes_any(accepted):
        if is_own_neuron(neuron_class):
            way_out = "add **settings and pass them on to the base, or leave it out, ~surrogate, for the base's own"
            raise ConfigError(f"{class_name(neuron_class)}'s constructor takes no surrogate_function: {way_out}")
        raise ConfigError(f"{class_name(neuron_class)} has no surrogate gradient: leave it out with ~surrogate")
    if isinstance(surrogate, nn.Module):
        raise TypeError(f"surrogate must build one, a class for example: {surrogate} would be shared by all neurons")
    function = surrogate()
    if not isinstance(function, nn.Module):
        raise ConfigError(f"surrogate must be one of SpikingJelly's surrogate gradients, got {function!r}")
    return {"surrogate_function": function}


def takes_any(accepted: Mapping[str, Parameter]) -> bool:
    """Return whether a constructor accepts names besides those it lists."""
    return any(parameter.kind is Parameter.VAR_KEYWORD for parameter in accepted.values())


def class_name(neuron_class: Callable[..., nn.Module]) -> str:
    """Return the name of the class, such as LIFNode."""
    return str(getattr(neuron_class, "__name__", neuron_class))
