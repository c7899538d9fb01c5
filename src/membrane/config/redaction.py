"""The configuration as it may be saved, printed or sent: secrets masked, the environment's values left unresolved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from membrane.config.check import with_defaults
from membrane.schema import Config
from membrane.schema.secrets import masked

Keys = tuple[str | int, ...]
"""The path of a value: ``("optimizer", "betas", 0)``."""


def published(config: Config, composed: DictConfig | None = None) -> dict[str, Any]:
    """Return the whole configuration as plain values, without ``trust``.

    Where ``composed`` took a value from the environment, outside ``paths``, its expression stands instead; the value
    of a setting that is named like a secret is masked.
    """
    settings = config.model_dump(by_alias=True, mode="json", exclude={"trust"})
    if composed is not None:
        for keys, expression in environment_expressions(with_defaults(composed)).items():
            if keys[0] != "paths":
                replace_at(settings, keys, expression)
    return {key: masked(key, value) for key, value in settings.items()}


def environment_expressions(composed: DictConfig) -> dict[Keys, str]:
    """Return path → expression wherever resolving it reads the environment, however indirectly."""
    reading = {}
    for keys, expression in interpolations(OmegaConf.to_container(composed)):
        parent: Any = composed
        for key in keys[:-1]:
            # omegaconf 2.3: subscripts resolve a node, and only this method gives it as it is
            parent = parent._get_node(key)
        with environment_reads() as names:
            value = parent[keys[-1]]
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
        if names:
            reading[keys] = expression
    return reading


def interpolations(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield the path and the text of every value with an interpolation."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from interpolations(inner, (*keys, key))
    elif isinstance(value, str) and "${" in value:
        yield keys, value


@contextmanager
def environment_reads() -> Iterator[list[str]]:
    """Collect the names of the variables that interpolations inside read from the environment."""
    names: list[str] = []

    def env(*arguments: Any) -> Any:
        names.append(str(arguments[0]))
        return oc.env(*arguments)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield names
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def replace_at(value: Any, keys: Keys, new: Any) -> None:
    """Replace the value at a path, if there is one: the schema may have left it out."""
    for key in keys[:-1]:
        value = value[key] if has_key(value, key) else None
    if has_key(value, keys[-1]):
        value[keys[-1]] = new


def has_key(value: Any, key: str | int) -> bool:
    """Return whether a mapping has a key, or a list an index."""
    if isinstance(value, list):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, dict) and key in value


def as_yaml(published_config: dict[str, Any]) -> str:
    """Return a published configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(published_config))
