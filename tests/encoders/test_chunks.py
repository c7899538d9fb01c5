"""Chunks and windows of signals, sample by sample."""

import pytest
import torch
from cases import check_each

from membrane.encoders.chunks import Chunks
from membrane.errors import ConfigError


@pytest.mark.parametrize(
    ("timesteps", "window", "starts"),
    [
        (4, None, [0, 3, 6, 9]),
        (1, None, [0]),
        (12, None, list(range(12))),
        (3, 6, [0, 3, 6]),
        (4, 6, [0, 2, 4, 6]),
        (3, 5, [0, 3, 6]),  # sample 11 is left out
        (4, 2, [0, 3, 6, 9]),  # there may be gaps
        (1, 5, [0]),
        (12, 1, list(range(12))),
    ],
)
def test_each_timestep_is_a_stretch_of_the_signal(timesteps: int, window: int | None, starts: list[int]) -> None:
    x = torch.arange(48.0).reshape(2, 2, 12)
    encoder = Chunks(timesteps=timesteps, window=window)
    frames = encoder.encode(x, {})
    width = window or 12 // timesteps
    expected = [[[x[n, c, s : s + width].tolist() for c in range(2)] for s in starts] for n in range(2)]
    assert frames.tolist() == expected
    assert encoder.frame_shape([2, 12]) == [2, width]


def test_what_cannot_be_cut_is_refused() -> None:
    def check_refused(case: tuple[Chunks, list[int], str]) -> None:
        encoder, shape, line = case
        with pytest.raises(ConfigError) as caught:
            encoder.frame_shape(shape)
        assert str(caught.value) == f"encoder Chunks: {line}"

    check_each(
        [
            (Chunks(timesteps=3), [2, 8], "8 samples cannot be cut into T=3 chunks of equal length"),
            (Chunks(timesteps=2), [1, 8, 8], "needs signals [C,S], got samples [1, 8, 8]"),
            (Chunks(timesteps=4, window=6), [2, 8], "8 samples have no T=4 different windows of 6"),
        ],
        check_refused,
    )
    with pytest.raises(ConfigError, match="window must be at least 1 sample, got 0"):
        Chunks(timesteps=2, window=0)
