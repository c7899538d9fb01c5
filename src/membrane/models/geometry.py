"""Layers before they are built: how many, how large, and in one line what does not fit. Without torch."""

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
    """Positions [S'] or [H',W'] of a window over ``size``: ⌊(s + 2·padding − kernel) / stride⌋ + 1.

    ConfigError, naming the layer and its input, where the window does not fit even once.
    """
    at_least(1, **{f"{name}'s kernel": kernel, f"{name}'s stride": stride})
    at_least(0, **{f"{name}'s padding": padding})
    if any(length + 2 * padding < kernel for length in size):
        padded = f" with a padding of {padding}" if padding else ""
        raise ConfigError(f"{name} has a window of {kernel} but its input is only {'×'.join(map(str, size))}{padded}")
    return [(length + 2 * padding - kernel) // stride + 1 for length in size]


def checked_shape(input_shape: Sequence[int], dims: int | None) -> tuple[int, list[int]]:
    """Channels and size of an input [C,S] or [C,H,W]; ConfigError where ``dims`` says another rank."""
    shape, found = list(input_shape), len(input_shape) - 1
    if found not in (1, 2):
        raise ConfigError(f"a model's input shape, without its timesteps, must be [C,S] or [C,H,W], got {shape}")
    if dims not in (None, found):
        raise ConfigError(f"dims={dims} does not fit the data's shape {shape}: dims={found}")
    return shape[0], shape[1:]


def at_least(least: int, **settings: int) -> None:
    """ConfigError unless every setting is an int of at least ``least``."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name} must be a whole number of at least {least}, got {value!r}")


def probability(**settings: float) -> None:
    """ConfigError unless every setting is in [0, 1)."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"{name} must be at least 0 and less than 1, got {value!r}")
