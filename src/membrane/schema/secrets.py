"""Settings that are secret by their name, masked."""

import re
from typing import Any

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SECRET = {"secret", "secrets", "password", "passwords", "passwd", "passphrase", "credential", "credentials", "apikey"}
"""Words that make a setting secret wherever they stand in its name."""
INNER = re.compile(r"([\w.-]+: *)([^,{}]+)")
"""A key and its value inside a mapping on the command line."""
MASK = "***"


def masked(name: str, value: Any) -> Any:
    """Return a value with everything in it masked that ``name``, or a name inside it, says is secret."""
    if isinstance(value, dict):
        return {key: masked(f"{name}.{key}", inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(name, inner) for inner in value]
    return MASK if is_secret(name, value) else value


def is_secret(name: str, value: Any) -> bool:
    """Return whether a setting's name says that its value is secret.

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
    """Return an override as it was typed, with secrets masked."""
    name, equals, value = line.partition("=")
    if equals and is_secret(name, as_number(value)):
        return f"{name}={MASK}"
    return name + equals + INNER.sub(masked_entry, value)


def masked_entry(entry: re.Match[str]) -> str:
    """Return ``key: value`` inside a mapping, the value masked if the key says that it is secret."""
    key, value = entry.groups()
    return f"{key}{MASK}" if is_secret(key, as_number(value)) else entry[0]


def as_number(text: str) -> str | float:
    """Return the number that a text is, or the text."""
    try:
        return float(text)
    except ValueError:
        return text
