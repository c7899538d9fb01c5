"""Lines of images, pixel by pixel."""

import pytest
import torch

from membrane.encoders.lines import Lines
from membrane.errors import ConfigError


def test_each_timestep_is_a_row_from_the_top_or_a_column_from_the_left() -> None:
    x = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    rows, columns = Lines(timesteps=4).encode(x, {}), Lines(timesteps=5, axis="columns").encode(x, {})
    for n in range(2):
        for t in range(4):
            assert rows[n, t].tolist() == [[x[n, c, t, w].item() for w in range(5)] for c in range(3)]
        for t in range(5):
            assert columns[n, t].tolist() == [[x[n, c, h, t].item() for h in range(4)] for c in range(3)]


def test_the_shape_of_a_frame_is_known_before_there_is_data() -> None:
    assert Lines(timesteps=4).frame_shape([3, 4, 5]) == [3, 5]
    assert Lines(timesteps=5, axis="columns").frame_shape([3, 4, 5]) == [3, 4]


def test_other_data_and_other_axes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"an image has 4 rows, timesteps=5"):
        Lines(timesteps=5).encode(torch.zeros(1, 3, 4, 5), {})
    with pytest.raises(ConfigError, match=r"an image has 5 columns, timesteps=4"):
        Lines(timesteps=4, axis="columns").frame_shape([3, 4, 5])
    with pytest.raises(ConfigError, match=r"needs images \[C,H,W\], got samples \[3, 4\]"):
        Lines(timesteps=4).frame_shape([3, 4])
    with pytest.raises(ConfigError, match="axis must be rows or columns, got 'diagonals'"):
        Lines(timesteps=4, axis="diagonals")
