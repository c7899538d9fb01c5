"""From a node of the configuration to the object that it describes."""

import inspect
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from membrane.config.admission import ADMITTED, admitted_class
from membrane.errors import ConfigError, DataError, located_line, location, one_line
from membrane.schema import Node

T = TypeVar("T")


def build(node: Node, trust: Sequence[str] = (), **arguments: Any) -> Any:
    """Build the object that a node describes, with further constructor ``arguments``.

    Raises ConfigError as `class_and_arguments`, or, with file and line, if the constructor of a user's class fails.
    """
    built_class, values = class_and_arguments(node, trust, **arguments)
    try:
        return built_class(**values)
    except (ConfigError, DataError):
        raise
    except Exception as error:
        if node.target in ADMITTED:
            raise
        package = [node.target.partition(".")[0]]
        place = "" if location(error, package) else f"{node.target}: "
        raise ConfigError(place + located_line(error, package)) from error


def class_and_arguments(node: Node, trust: Sequence[str] = (), **arguments: Any) -> tuple[type[Any], dict[str, Any]]:
    """Return the class of a node and all arguments of its constructor, without calling it.

    Raises ConfigError if the settings do not fit the class's signature, or set one of the ``arguments``.
    """
    built_class, settings = admitted_class(node.target, trust), node.parameters()
    try:
        inspect.signature(built_class).bind(**{**arguments, **settings})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{node.target}: {one_line(error)}") from None
    for twice in arguments.keys() & settings.keys():
        raise ConfigError(f"{node.target}: {twice} is given by membrane and cannot be set")
    return built_class, {**arguments, **settings}


def build_instance(base: type[T], node: Node, trust: Sequence[str] = (), **arguments: Any) -> T:
    """Build the object that a node describes. Raises ConfigError as `build`, and if it is no ``base``."""
    built = build(node, trust, **arguments)
    if not isinstance(built, base):
        raise ConfigError(f"{node.target} is no {public_name(base)}: inherit from that")
    return built


def build_callable(node: Node, trust: Sequence[str], parameters: str, **arguments: Any) -> Any:
    """Build the object that a node describes. Raises ConfigError as `build`, and if it cannot be called."""
    built = build(node, trust, **arguments)
    if not callable(built):
        raise ConfigError(f"{node.target} cannot be called: it needs a method __call__{parameters}")
    return built


def public_name(base: type[Any]) -> str:
    """Return the shortest name under which a class can be imported, as ``torch.nn.Module``."""
    parts = base.__module__.split(".")
    modules = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    module = next(name for name in modules if getattr(sys.modules.get(name), base.__name__, None) is base)
    return f"{module}.{base.__name__}"
