"""From a node of the configuration to the object that it describes."""

import inspect
from collections.abc import Sequence
from typing import Any

from membrane.config.admission import admitted_class
from membrane.errors import ConfigError, one_line
from membrane.schema import Node


def build(node: Node, trust: Sequence[str] = (), **arguments: Any) -> Any:
    """Build the object that a node describes, with further constructor ``arguments``.

    Raises ConfigError if the settings do not fit the class's signature, or set one of the ``arguments``.
    """
    built_class, settings = admitted_class(node.target, trust), node.parameters()
    try:
        inspect.signature(built_class).bind(**{**arguments, **settings})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{node.target}: {one_line(error)}") from None
    for twice in arguments.keys() & settings.keys():
        raise ConfigError(f"{node.target}: {twice} is given by membrane and cannot be set")
    return built_class(**arguments, **settings)
