"""The configuration as it may be saved, printed or sent: secrets masked, the environment's values left unresolved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from membrane.config.check import with_defaults
from membrane.schema import Config
from membrane.schema.secrets import masked

Place = tuple[str | int, ...]


def published(config: Config, composed: DictConfig | None = None) -> dict[str, Any]:
    """The whole configuration as plain values, without ``trust``.

    Where ``composed`` took a value from the environment, outside ``paths``, its expression stands instead; the value
    of a setting that is named like a secret is masked.
    """
    said = config.model_dump(by_alias=True, mode="json", exclude={"trust"})
    if composed is not None:
        for place, expression in from_environment(with_defaults(composed)).items():
            if place[0] != "paths":
                put(said, place, expression)
    return {key: masked(key, value) for key, value in said.items()}


def from_environment(composed: DictConfig) -> dict[Place, str]:
    """Where resolving an expression reads the environment, however indirectly → that expression."""
    found = {}
    for place, expression in expressions(OmegaConf.to_container(composed)):
        holder: Any = composed
        for key in place[:-1]:
            holder = holder._get_node(key)
        with environment_noted() as read:
            value = holder[place[-1]]
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
        if read:
            found[place] = expression
    return found


def expressions(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every text with an interpolation, and its place."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from expressions(inner, (*place, key))
    elif isinstance(value, str) and "${" in value:
        yield place, value


@contextmanager
def environment_noted() -> Iterator[list[str]]:
    """Inside, the variables that interpolations read from the environment are collected."""
    read: list[str] = []

    def env(*arguments: Any) -> Any:
        read.append(str(arguments[0]))
        return oc.env(*arguments)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield read
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def put(value: Any, place: Place, new: Any) -> None:
    """Replace the value at a path, where there is one: the schema may have left it out."""
    for key in place[:-1]:
        value = value[key] if holds(value, key) else None
    if holds(value, place[-1]):
        value[place[-1]] = new


def holds(value: Any, key: str | int) -> bool:
    """Whether a mapping has a key, or a list an index."""
    if isinstance(value, list):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, dict) and key in value


def as_yaml(published_config: dict[str, Any]) -> str:
    """A published configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(published_config))
