"""The configuration as it may be saved, printed or sent: secrets masked, the environment's values left unresolved."""

from typing import Any

from omegaconf import OmegaConf

from membrane.schema import Config
from membrane.schema.environment import Keys
from membrane.schema.secrets import masked


def published(config: Config) -> dict[str, Any]:
    """Return the whole configuration as plain values, without ``trust``.

    For a value that was taken from the environment, outside ``paths``, its expression stands; the value of a setting
    that is named like a secret is masked.
    """
    settings = config.model_dump(by_alias=True, mode="json", exclude={"trust"})
    for keys, expression in config.environment.expressions.items():
        replace_at(settings, keys, expression)
    return {key: masked(key, value) for key, value in settings.items()}


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
