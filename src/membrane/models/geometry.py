"""Layers before they are built: how many, how large, and in one line what does not fit. Without torch."""

from collections.abc import Iterable, Sequence
from typing import Any

from membrane.errors import ConfigError

LARGE = 64  # pixels of the shorter side; between CIFAR's 32 and the 128 of event cameras


def per_layer(count: int, **settings: Any) -> list[tuple[Any, ...]]:
    """The settings of each layer, in the order given; a single value stands for every layer.

    ConfigError, naming every list with its length, unless each list has one entry a layer.
    """
    lists = {name: value for name, value in settings.items() if isinstance(value, Sequence)}
    if any(len(value) != count for value in lists.values()):
        lengths = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
        raise ConfigError(f"lists need one entry a layer (or one value for all layers): {lengths}")
    return list(zip(*(lists.get(name, [value] * count) for name, value in settings.items()), strict=True))


def stem_and_groups(
    filters: Sequence[int], num_blocks: Any, **settings: Any
) -> tuple[tuple[Any, ...], list[tuple[Any, tuple[Any, ...]]]]:
    """The stem's settings, filters first, and of each group its number of blocks with its settings.

    ConfigError unless every list has one entry for the stem and one a group, and ``num_blocks`` one a group.
    """
    if not filters:
        raise ConfigError("filters needs an entry for the stem, got []")
    stem, *groups = per_layer(len(filters), filters=filters, **settings)
    if isinstance(num_blocks, Sequence) and len(num_blocks) != len(groups):
        raise ConfigError(
            "num_blocks needs one entry a group (or one value for all groups), filters one more for the stem: "
            f"filters has {len(filters)}, num_blocks has {len(num_blocks)}"
        )
    counts = per_layer(len(groups), num_blocks=num_blocks)
    return stem, [(count, group) for (count,), group in zip(counts, groups, strict=True)]


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


def checked_image(input_shape: Sequence[int], dims: int | None) -> tuple[int, list[int]]:
    """Channels and size [H,W] of an input [C,H,W]; ConfigError for 1-D data."""
    channels, size = checked_shape(input_shape, dims)
    if len(size) != 2:
        raise ConfigError(f"this model is for images [C,H,W], got {list(input_shape)}: scnn takes both")
    return channels, size


def one_of(choices: Iterable[Any], **settings: Any) -> None:
    """ConfigError unless every setting is one of ``choices``."""
    known = list(choices)
    for name, value in settings.items():
        if value not in known:
            raise ConfigError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}")


def for_size(size: Sequence[int], **setting: str | None) -> str:
    """What ``setting`` says, ``imagenet`` or ``cifar``; if it is None, by the size: imagenet from 64 pixels up."""
    [said] = setting.values()
    one_of(("imagenet", "cifar", None), **setting)
    return said or ("imagenet" if min(size) >= LARGE else "cifar")


def attention_fits(widths: Sequence[int], num_heads: Sequence[int], embed_dims: int) -> None:
    """ConfigError unless each stage's channels are divided by its heads, and ``embed_dims`` by 8.

    The patch embedding starts with an eighth of the channels.
    """
    at_least(8, embed_dims=embed_dims)
    if embed_dims % 8:
        raise ConfigError(f"embed_dims must be a multiple of 8, got {embed_dims}")
    for width, heads in zip(widths, num_heads, strict=True):
        at_least(1, num_heads=heads)
        if width % heads:
            raise ConfigError(f"num_heads={heads} does not divide the {width} channels of its stage")


def three_stages(embed_dims: int, num_heads: Sequence[int], depths: Sequence[int]) -> None:
    """ConfigError unless heads and depths are said for three stages of a quarter, half and all of ``embed_dims``."""
    if len(num_heads) != 3 or len(depths) != 3:
        raise ConfigError(f"there are three stages: num_heads has {len(num_heads)} entries, depths has {len(depths)}")
    attention_fits([embed_dims // 4, embed_dims // 2, embed_dims], num_heads, embed_dims)
    for depth in depths:
        at_least(0, depths=depth)


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
