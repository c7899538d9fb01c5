"""Limits of YAML that somebody else may have written: aliases alone can make a few lines as large as the memory."""

import re
from typing import Any

VALUES = 20_000
"""Values, keys, lists and mappings of a file, its aliases written out, at most."""
DEPTH = 100
"""Lists and mappings in one another, at most."""
EXPRESSION = 4_000
"""Characters of a text with an interpolation, at most."""
BRACKETS = 30
"""Brackets in one another in a text with an interpolation, at most."""
NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxXob_:.+-]*")
DIGITS = 100
"""Characters of a number, at most."""
BRACKET = re.compile(r"[\[({\])}]")


def require_small_yaml(text: str) -> None:
    """Raise ValueError if a YAML text would grow beyond the limits; YAMLError if it is none.

    Only its events are read, without building anything; an alias counts as much as what it stands for.
    """
    import yaml

    sizes: dict[str | None, int] = {}
    above: list[tuple[str | None, int]] = []  # anchor of each open list or mapping, and the values before it
    values = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in above):
                raise ValueError(f"*{event.anchor} stands in what it names")
            values += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, values))
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            sizes[anchor] = values - before
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            require_small_scalar(event.value)
        require_few_values(values, len(above))


def require_few_values(values: int, depth: int) -> None:
    """Raise ValueError for more values, or deeper ones, than a configuration can need."""
    if values > VALUES:
        raise ValueError(f"more than {VALUES} values, its aliases written out")
    if depth > DEPTH:
        raise ValueError(f"nested more than {DEPTH} levels deep")


def require_small_scalar(text: str) -> None:
    """Raise ValueError if a text is an interpolation or a number that is too long."""
    require_small_expression(text)
    if len(text) > DIGITS and NUMBER.fullmatch(text):
        raise ValueError(f"a number of {len(text)} characters")


def require_small_expression(text: str) -> None:
    """Raise ValueError if a text with an interpolation is too long, or has too many brackets in one another."""
    if "${" not in text:
        return
    if len(text) > EXPRESSION:
        raise ValueError(f"an interpolation of more than {EXPRESSION} characters")
    if bracket_depth(text) > BRACKETS:
        raise ValueError(f"an interpolation with more than {BRACKETS} brackets in one another")


def bracket_depth(text: str) -> int:
    """Return how many brackets lie in one another at most, those in quotes too."""
    depth = deepest = 0
    for bracket in BRACKET.findall(text):
        depth += 1 if bracket in "[({" else -1
        deepest = max(deepest, depth)
    return deepest


def require_small_container(value: Any) -> None:
    """Raise ValueError if plain values, as a checkpoint holds them, exceed the limits, or a key is none of text's kind.

    What stands in several places counts in each.
    """
    waiting: list[tuple[Any, int]] = [(value, 0)]
    values = 0
    while waiting:
        inner, depth = waiting.pop()
        values += 1
        require_few_values(values, depth)
        if isinstance(inner, str):
            require_small_scalar(inner)
        elif isinstance(inner, dict):
            if not all(isinstance(key, str | int | float | bool) for key in inner):
                raise ValueError("a key that is neither text nor a number")
            waiting += [(each, depth + 1) for each in (*inner, *inner.values())]
        elif isinstance(inner, list | tuple):
            waiting += [(each, depth + 1) for each in inner]
