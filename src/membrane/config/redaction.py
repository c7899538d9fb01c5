"""The configuration as it may be saved, printed or sent: secrets masked, the environment's values left unresolved."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from membrane.config.check import with_defaults
from membrane.schema import Config

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SECRET = {"secret", "secrets", "password", "passwords", "passwd", "passphrase", "credential", "credentials", "apikey"}
"""Words that make a setting secret wherever they stand in its name."""
INNER = re.compile(r"([\w.-]+: *)([^,{}]+)")
"""A key and its value inside a mapping on the command line."""
MASK = "***"

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


def masked(name: str, value: Any) -> Any:
    """A value with everything in it masked that ``name``, or a name inside it, says is secret."""
    if isinstance(value, dict):
        return {key: masked(f"{name}.{key}", inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(name, inner) for inner in value]
    return MASK if secret(name, value) else value


def secret(name: str, value: Any) -> bool:
    """Whether a setting's name says that its value is secret.

    `token` and `key` do so at the end of a name (`api_key`), and elsewhere if the value is text: `key_dim=64` is none.
    """
    if value is None or isinstance(value, bool):
        return False
    for part in name.split("."):
        words = [word.lower() for word in WORD.findall(part)]
        if SECRET & {*words, "".join(words)}:
            return True
        weak = {"key", "token", "keys", "tokens"} & set(words)
        if weak and (isinstance(value, str) or words[-1] in ("key", "token")):
            return True
    return False


def masked_override(line: str) -> str:
    """An override as it was typed, with secrets masked."""
    name, equals, value = line.partition("=")
    if equals and secret(name, plain(value)):
        return f"{name}={MASK}"
    return name + equals + INNER.sub(lambda at: f"{at[1]}{MASK}" if secret(at[1], plain(at[2])) else at[0], value)


def plain(text: str) -> str | float:
    """A text as the number that it is, where it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def as_yaml(published_config: dict[str, Any]) -> str:
    """A published configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(published_config))
