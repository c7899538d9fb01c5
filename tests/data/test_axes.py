from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from membrane.data import channels_first, channels_last

# (dimensions, timesteps, where the channels stand when first)
LAYOUTS = [(3, False, 1), (4, False, 1), (4, True, 2), (5, True, 2)]


@pytest.mark.parametrize(("dimensions", "timesteps", "place"), LAYOUTS)
@pytest.mark.parametrize("tensor", [False, True])
def test_every_element_moves_to_its_place(dimensions: int, timesteps: bool, place: int, tensor: bool) -> None:
    shape = (2, 3, 4, 5, 6)[:dimensions]
    at_rest = np.arange(np.prod(shape)).reshape(shape)
    moved = channels_first(torch.from_numpy(at_rest) if tensor else at_rest, timesteps)
    assert isinstance(moved, torch.Tensor if tensor else np.ndarray)
    assert tuple(moved.shape) == (*shape[:place], shape[-1], *shape[place:-1])
    for index in product(*map(range, shape)):
        *rest, channel = index
        assert moved[(*rest[:place], channel, *rest[place:])] == at_rest[index]


@given(layout=st.sampled_from(LAYOUTS), sizes=st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_the_two_are_exact_inverses(layout: tuple[int, bool, int], sizes: list[int]) -> None:
    dimensions, timesteps, _ = layout
    array = np.arange(np.prod(sizes[:dimensions])).reshape(sizes[:dimensions])
    for x in (array, torch.from_numpy(array)):
        for there, back in ((channels_first, channels_last), (channels_last, channels_first)):
            assert back(there(x, timesteps), timesteps).shape == x.shape
            assert (back(there(x, timesteps), timesteps) == x).all()


@pytest.mark.parametrize("convert", [channels_first, channels_last])
@pytest.mark.parametrize(("dimensions", "timesteps"), [(2, False), (5, False), (3, True), (6, True)])
@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_other_dimensions_are_refused(convert, dimensions: int, timesteps: bool, make) -> None:  # type: ignore[no-untyped-def]
    expected = "4 or 5 dimensions" if timesteps else "3 or 4 dimensions"
    with pytest.raises(ValueError, match=rf"{expected}.* got {dimensions}: \[2"):
        convert(make((2,) * dimensions), timesteps)
