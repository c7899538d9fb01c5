"""Sizes by arithmetic against torch's own layers, and what is said where something does not fit."""

from itertools import product
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from membrane.errors import ConfigError
from membrane.models.geometry import channels_and_size, per_layer, require_three_stages, window_positions


def test_a_window_leaves_what_torch_leaves() -> None:
    fitted = 0
    for length, kernel, stride, padding in product(range(1, 9), range(1, 6), range(1, 4), range(3)):
        try:
            expected = list(F.conv1d(torch.zeros(1, 1, length), torch.zeros(1, 1, kernel), None, stride, padding).shape)
        except RuntimeError:
            with pytest.raises(ConfigError, match=f"conv7 has a window of {kernel} but its input is only {length}"):
                window_positions("conv7", [length], kernel, stride, padding)
            continue
        fitted += 1
        assert window_positions("conv7", [length], kernel, stride, padding) == expected[2:]
    assert 300 < fitted < 360


def test_a_pool_leaves_what_torch_leaves() -> None:
    for height, width, pool in product(range(1, 8), range(1, 8), range(1, 5)):
        try:
            expected = list(F.max_pool2d(torch.zeros(1, 1, height, width), pool).shape)
        except RuntimeError:
            with pytest.raises(
                ConfigError, match=f"pool2 has a window of {pool} but its input is only {height}×{width}"
            ):
                window_positions("pool2", [height, width], pool, pool)
            continue
        assert window_positions("pool2", [height, width], pool, pool) == expected[2:]


def test_each_axis_has_a_window_of_its_own() -> None:
    size, numbers = (7, 5), list(product((1, 2, 4), (2, 5)))
    for kernel, stride, padding in product(numbers, [(1, 2), (3, 1)], [(0, 1), (2, 0)]):
        maps, weight = torch.zeros(1, 1, *size), torch.zeros(1, 1, *kernel)
        expected = list(F.conv2d(maps, weight, None, stride, padding).shape)
        assert window_positions("conv7", size, kernel, stride, padding) == expected[2:]
    with pytest.raises(ConfigError, match="conv7 has a window of 8×1 but its input is only 7×5"):
        window_positions("conv7", size, (8, 1), 1)
    with pytest.raises(ConfigError, match="window of 1×8 but its input is only 7×5 with a padding of 0×1"):
        window_positions("conv7", size, (1, 8), 1, (0, 1))


WAY_OUT = "make it smaller, or use model=smlp, which takes any size"


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((5, 1, 1), f"conv1 has a window of 5 but its input is only 2×4 with a padding of 1: {WAY_OUT}"),
        ((0, 1, 0), "conv1's kernel must be a whole number of at least 1, got 0"),
        ((1, 0, 0), "conv1's stride must be a whole number of at least 1, got 0"),
        ((1, 1, -1), "conv1's padding must be a whole number of at least 0, got -1"),
        ((1.5, 1, 0), "conv1's kernel must be a whole number of at least 1, got 1.5"),
        ((True, 1, 0), "conv1's kernel must be a whole number of at least 1, got True"),
        (((1, True), 1, 0), "conv1's kernel must be a whole number of at least 1, got True"),
        (((1,), 1, 0), "conv1's kernel must be a number or a list of 2, as the data has 2 axes, got [1]"),
    ],
)
def test_windows_that_cannot_be(window: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        window_positions("conv1", [2, 4], *window)
    assert str(refused.value) == message


def test_settings_are_one_value_or_one_entry_a_layer() -> None:
    assert per_layer(2, filters=[8, 16], kernels=3, pools=(2, 1)) == [(8, 3, 2), (16, 3, 1)]
    assert per_layer(1, filters=[8], kernels=[5]) == [(8, 5)]
    assert per_layer(2, filters=[8, 16], kernels=[[3, 5], 3]) == [(8, (3, 5)), (16, 3)]
    assert per_layer(0, filters=[], kernels=3) == []


def test_lists_of_other_lengths_are_all_named() -> None:
    with pytest.raises(ConfigError) as refused:
        per_layer(2, filters=[8, 16], kernels=[3], pools=2, dropouts=[0.1, 0.2, 0.3])
    assert str(refused.value) == (
        "lists need one entry a layer (or one value for all layers): filters has 2, kernels has 1, dropouts has 3"
    )


def test_the_shape_of_a_sample() -> None:
    assert channels_and_size([2, 24], None) == channels_and_size((2, 24), 1) == (2, [24])
    assert channels_and_size([3, 8, 6], None) == channels_and_size([3, 8, 6], 2) == (3, [8, 6])


@pytest.mark.parametrize(
    ("shape", "dims", "message"),
    [
        ([3, 8, 6], 1, r"dims=1 does not fit the data's shape \[3, 8, 6\]: dims=2"),
        ([3, 8], 2, r"dims=2 does not fit the data's shape \[3, 8\]: dims=1"),
        ([8], None, r"without its timesteps, must be \[C,S\] or \[C,H,W\], got \[8\]"),
        ([4, 3, 8, 6], 2, r"without its timesteps, must be \[C,S\] or \[C,H,W\], got \[4, 3, 8, 6\]"),
    ],
)
def test_shapes_that_cannot_be(shape: list[int], dims: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        channels_and_size(shape, dims)


@pytest.mark.parametrize("embed_dims", [8, 24, 40, 64])
def test_the_heads_of_each_stage_divide_its_own_channels(embed_dims: int) -> None:
    widths = [embed_dims // 4, embed_dims // 2, embed_dims]
    for num_heads in product(range(1, 9), repeat=3):
        wrong = [(heads, width) for heads, width in zip(num_heads, widths, strict=True) if width % heads]
        if not wrong:
            require_three_stages(embed_dims, num_heads, (1, 1, 1))
            continue
        heads, width = wrong[0]
        with pytest.raises(ConfigError, match=f"^num_heads={heads} does not divide the {width} channels of its stage$"):
            require_three_stages(embed_dims, num_heads, (1, 1, 1))
