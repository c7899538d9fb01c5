"""Limits of YAML that somebody else may have written: aliases alone can make a few lines as large as the memory."""

import re
from typing import Any

NODES = 20_000
"""Values, keys, lists and mappings of a file, its aliases written out, at most."""
DEPTH = 100
"""Lists and mappings in one another, at most."""
EXPRESSION = 4_000
"""Characters of a text with an interpolation, at most."""
BRACKETS = 30
"""Brackets in one another in a text with an interpolation, at most."""
BRACKET = re.compile(r"[\[({\])}]")


def require_small_yaml(text: str) -> None:
    """Raise ValueError if a YAML text would grow beyond the limits; YAMLError if it is none.

    Only its events are read, without building anything; an alias counts as much as what it stands for.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sizes: dict[str | None, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the nodes that were counted before it
    nodes = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in open_nodes):
                raise ValueError(f"*{event.anchor} stands in what it names")
            nodes += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = nodes - before
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            require_small_expression(event.value)
        if nodes > NODES:
            raise ValueError(f"more than {NODES} values, its aliases written out")
        if len(open_nodes) > DEPTH:
            raise ValueError(f"nested more than {DEPTH} levels deep")


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
    nodes = 0
    while waiting:
        inner, depth = waiting.pop()
        nodes += 1
        if nodes > NODES:
            raise ValueError(f"more than {NODES} values")
        if depth > DEPTH:
            raise ValueError(f"nested more than {DEPTH} levels deep")
        if isinstance(inner, str):
            require_small_expression(inner)
        elif isinstance(inner, dict):
            if not all(isinstance(key, str | int | float | bool) for key in inner):
                raise ValueError("a key that is neither text nor a number")
            waiting += [(each, depth + 1) for each in (*inner, *inner.values())]
        elif isinstance(inner, list | tuple):
            waiting += [(each, depth + 1) for each in inner]
