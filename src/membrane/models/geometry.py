"""The geometry of layers before they are built, and one line of refusal for what does not fit. Without torch."""

from collections.abc import Iterable, Sequence
from typing import Any

from membrane.errors import ConfigError

Extent = int | Sequence[int]
"""A size, stride or padding: one number for all axes of the data, or one for each, [S] or [H,W]."""
LARGE = 64  # pixels of the shorter side; between CIFAR's 32 and the 128 of event cameras


def per_layer(count: int, **settings: Any) -> list[tuple[Any, ...]]:
    """Return the settings of each layer, in the order of the arguments; a single value is for every layer.

    An entry that is a list itself, with a number for each axis, becomes a tuple.

    Raises ConfigError, naming every list with its length, unless each list has one entry for each layer.
    """
    lists = {name: value for name, value in settings.items() if isinstance(value, Sequence)}
    if any(len(value) != count for value in lists.values()):
        lengths = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
        raise ConfigError(f"lists need one entry a layer (or one value for all layers): {lengths}")
    entries = ([as_window(each) for each in lists.get(name, [value] * count)] for name, value in settings.items())
    return list(zip(*entries, strict=True))


def stem_and_groups(
    filters: Sequence[int], num_blocks: Any, **settings: Any
) -> tuple[tuple[Any, ...], list[tuple[Any, tuple[Any, ...]]]]:
    """Return the stem's settings, filters first, and for each group its number of blocks with its settings.

    Raises ConfigError unless every list has one entry for the stem and one for each group, and ``num_blocks`` one for
    each group.
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


def window_positions(name: str, size: Sequence[int], kernel: Extent, stride: Extent, padding: Extent = 0) -> list[int]:
    """Count a window's positions over ``size`` [S] or [H,W]: ⌊(s + 2·padding − kernel) / stride⌋ + 1 for each axis.

    Raises ConfigError, naming the layer and its input, if the window does not fit, or has another number of axes.
    """
    kernels = per_axis(1, f"{name}'s kernel", kernel, len(size))
    strides = per_axis(1, f"{name}'s stride", stride, len(size))
    paddings = per_axis(0, f"{name}'s padding", padding, len(size))
    padded = [length + 2 * by for length, by in zip(size, paddings, strict=True)]
    if any(length < window for length, window in zip(padded, kernels, strict=True)):
        with_padding = f" with a padding of {extent_text(padding)}" if any(paddings) else ""
        needs = f"{name} has a window of {extent_text(kernel)}"
        way_out = "make it smaller, or use model=smlp, which takes any size"
        raise ConfigError(f"{needs} but its input is only {extent_text(size)}{with_padding}: {way_out}")
    return [(length - window) // by + 1 for length, window, by in zip(padded, kernels, strides, strict=True)]


def per_axis(least: int, name: str, extent: Extent, dims: int) -> list[int]:
    """Return an extent as a number for each of ``dims`` axes.

    Raises ConfigError unless each is a whole number of at least ``least``, and a list has one for each axis.
    """
    numbers = list(extent) if isinstance(extent, Sequence) else [extent] * dims
    if len(numbers) != dims:
        axes = "1 axis" if dims == 1 else f"{dims} axes"
        raise ConfigError(f"{name} must be a number or a list of {dims}, as the data has {axes}, got {numbers}")
    for number in numbers:
        require_at_least(least, **{name: number})
    return numbers


def as_window(setting: Any) -> Any:
    """Return a list, with a number for each axis, as the tuple that torch's layers take, and other settings as is."""
    return tuple(setting) if isinstance(setting, Sequence) and not isinstance(setting, str) else setting


def shrinks(extent: Extent) -> bool:
    """Return whether a stride or a pool of this extent makes its input smaller: whether it is not 1 along each axis."""
    return any(number != 1 for number in (extent if isinstance(extent, Sequence) else [extent]))


def extent_text(extent: Extent) -> str:
    """Return an extent as it is read, ``3`` or ``3×5``."""
    return "×".join(map(str, extent)) if isinstance(extent, Sequence) else str(extent)


def channels_and_size(input_shape: Sequence[int], dims: int | None) -> tuple[int, list[int]]:
    """Split [C,S] or [C,H,W] into C and the size. Raises ConfigError for another rank, or one that is not ``dims``."""
    shape, rank = list(input_shape), len(input_shape) - 1
    if rank not in (1, 2):
        raise ConfigError(f"a model's input shape, without its timesteps, must be [C,S] or [C,H,W], got {shape}")
    if dims not in (None, rank):
        raise ConfigError(f"dims={dims} does not fit the data's shape {shape}: dims={rank}")
    return shape[0], shape[1:]


def image_channels_and_size(input_shape: Sequence[int], dims: int | None) -> tuple[int, list[int]]:
    """Split [C,H,W] into C and [H,W]. Raises ConfigError for 1-D data."""
    channels, size = channels_and_size(input_shape, dims)
    if len(size) != 2:
        raise ConfigError(f"this model is for images [C,H,W], got {list(input_shape)}: scnn takes both")
    return channels, size


def variant_for(size: Sequence[int], **setting: str | None) -> str:
    """Return the setting, ``imagenet`` or ``cifar``; if it is None, imagenet from 64 pixels up and cifar below."""
    require_one_of(("imagenet", "cifar", None), **setting)
    [variant] = setting.values()
    return variant or ("imagenet" if min(size) >= LARGE else "cifar")


def require_one_of(choices: Iterable[Any], **settings: Any) -> None:
    """Raise ConfigError unless every setting is one of ``choices``."""
    listed = list(choices)
    for name, value in settings.items():
        if value not in listed:
            raise ConfigError(f"{name} must be one of {', '.join(map(str, listed))}, got {value!r}")


def require_heads_divide_widths(widths: Sequence[int], num_heads: Sequence[int], embed_dims: int) -> None:
    """Raise ConfigError unless each stage's width is a multiple of its heads, and ``embed_dims`` one of 8.

    The patch embedding starts with an eighth of the channels.
    """
    require_at_least(8, embed_dims=embed_dims)
    if embed_dims % 8:
        raise ConfigError(f"embed_dims must be a multiple of 8, got {embed_dims}")
    for width, heads in zip(widths, num_heads, strict=True):
        require_at_least(1, num_heads=heads)
        if width % heads:
            raise ConfigError(f"num_heads={heads} does not divide the {width} channels of its stage")


def require_three_stages(embed_dims: int, num_heads: Sequence[int], depths: Sequence[int]) -> None:
    """Raise ConfigError unless heads and depths fit three stages of a quarter, half and all of ``embed_dims``."""
    if len(num_heads) != 3 or len(depths) != 3:
        raise ConfigError(f"there are three stages: num_heads has {len(num_heads)} entries, depths has {len(depths)}")
    require_heads_divide_widths([embed_dims // 4, embed_dims // 2, embed_dims], num_heads, embed_dims)
    for depth in depths:
        require_at_least(0, depths=depth)


def require_at_least(least: int, **settings: int) -> None:
    """Raise ConfigError unless every setting is an int of at least ``least``."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name} must be a whole number of at least {least}, got {value!r}")


def require_voters(votes: int, head_neuron: bool) -> None:
    """Raise ConfigError for less than one vote a class, and for several without neurons that vote."""
    require_at_least(1, votes=votes)
    if votes > 1 and not head_neuron:
        raise ConfigError(f"votes={votes} are of neurons behind the head: add head_neuron=true")


def require_probability(**settings: float) -> None:
    """Raise ConfigError unless every setting is in [0, 1)."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"{name} must be at least 0 and less than 1, got {value!r}")
