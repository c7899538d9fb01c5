"""Sizes of layers before they are built: what fits, and what does not, in one line."""

from collections.abc import Sequence
from typing import Any

from membrane.errors import ConfigError


def per_layer(count: int, **settings: Any) -> list[tuple[Any, ...]]:
    """The settings of each layer, in the order given; a single value stands for every layer.

    ConfigError, naming every list with its length, unless each list has one entry a layer.
    """
    lists = {name: value for name, value in settings.items() if isinstance(value, Sequence)}
    if any(len(value) != count for value in lists.values()):
        lengths = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
        raise ConfigError(f"lists need one entry a layer (or one value for all layers): {lengths}")
    return list(zip(*(lists.get(name, [value] * count) for name, value in settings.items()), strict=True))


def slid(name: str, size: Sequence[int], kernel: int, stride: int, padding: int = 0) -> list[int]:
    """The positions [S'] or [H',W'] of a window of ``kernel`` over ``size``; ConfigError where it does not fit."""
    if any(length + 2 * padding < kernel for length in size):
        raise ConfigError(f"{name} has a window of {kernel} but its input is only {'×'.join(map(str, size))}")
    return [(length + 2 * padding - kernel) // stride + 1 for length in size]


def checked_shape(input_shape: Sequence[int], dims: int | None) -> tuple[int, list[int]]:
    """Channels and size of an input [C,S] or [C,H,W]; ConfigError where ``dims`` says another rank."""
    found = len(input_shape) - 1
    if found not in (1, 2) or dims not in (None, found):
        expected = "[C,S] or [C,H,W]" if dims is None else {1: "[C,S]", 2: "[C,H,W]"}.get(dims, "1 or 2 dims")
        raise ConfigError(f"input shape {list(input_shape)} does not fit, expected {expected}")
    return input_shape[0], list(input_shape[1:])


