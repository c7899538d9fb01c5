"""The configuration as it may be saved, printed or sent: secrets masked, the environment's values left unresolved."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Node

from membrane.schema import Config

SECRET = re.compile(r"(^|[_.-])(api_?key|key|token|secret|password|passwd|credentials?)s?($|[_.-])", re.IGNORECASE)
REFERENCE = re.compile(r"\$\{([^${}:]+)\}")
MASK = "***"


def published(config: Config, composed: DictConfig | None = None) -> dict[str, Any]:
    """The whole configuration as plain values, without ``trust``.

    Where ``composed`` took a value from the environment, outside ``paths``, its expression stands instead; the value
    of a setting that is named like a secret is masked.
    """
    plain = config.model_dump(by_alias=True, mode="json", exclude={"trust"})
    for place in places(plain):
        expression = None if composed is None or place[0] == "paths" else from_environment(composed, place)
        if expression is not None:
            put(plain, place, expression)
        if SECRET.search(place[-1]):
            put(plain, place, MASK)
    return plain


def places(value: Any, place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all values that are not mappings."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in places(inner, (*place, str(key)))]
    return [place] if place else []


def put(value: dict[str, Any], place: tuple[str, ...], new: Any) -> None:
    """Replace the value at a path."""
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new


def from_environment(composed: DictConfig, place: tuple[str, ...]) -> str | None:
    """The expression at a path if resolving it reads the environment, directly or through others."""
    node: Any = composed
    for key in place:
        if not isinstance(node, DictConfig) or key not in node:
            return None
        node = node._get_node(key)
        expression = node._value() if isinstance(node, Node) else None
        if isinstance(expression, str) and reads_environment(composed, expression, seen=frozenset()):
            return expression
    return None


def reads_environment(composed: DictConfig, expression: str, seen: frozenset[str]) -> bool:
    """Whether an expression reads the environment, following the settings that it refers to."""
    if "${oc.env:" in expression.replace(" ", ""):
        return True
    for reference in REFERENCE.findall(expression):
        if reference not in seen and composed_expression(composed, reference) is not None:
            inner = composed_expression(composed, reference) or ""
            if reads_environment(composed, inner, seen | {reference}):
                return True
    return False


def composed_expression(composed: DictConfig, reference: str) -> str | None:
    """The unresolved text of another setting, or None where it is no text."""
    node: Any = composed
    for key in reference.split("."):
        if not isinstance(node, DictConfig) or key not in node:
            return None
        node = node._get_node(key)
    value = node._value() if isinstance(node, Node) else None
    return value if isinstance(value, str) else None


def as_yaml(published_config: dict[str, Any]) -> str:
    """A published configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(published_config))
