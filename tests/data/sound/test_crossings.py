"""Threshold crossings against a plain loop, and what they tell of the signal."""

import numpy as np
import pytest
from numpy.typing import NDArray

from membrane.data.sound.crossings import threshold_crossings


def counted(signal: NDArray[np.float32], threshold: float) -> list[list[int]]:
    """Crossings [F,2] of one band, one spike at a time."""
    reached, counts = 0, []
    for value in signal:
        up = down = 0
        while value >= (reached + 1) * threshold:
            reached, up = reached + 1, up + 1
        while value <= (reached - 1) * threshold:
            reached, down = reached - 1, down + 1
        counts.append([up, down])
    return counts


@pytest.mark.parametrize("threshold", [1.0, 2.5, 6.0])
def test_crossings_are_those_of_a_plain_loop(threshold: float) -> None:
    levels = np.cumsum(np.random.default_rng(1).normal(size=(80, 3), scale=4), axis=0).astype(np.float32)
    crossings = threshold_crossings(levels, threshold)
    for band in range(3):
        assert crossings[:, :, band].tolist() == counted(levels[:, band], threshold)
    sums = np.cumsum(crossings[:, 0] - crossings[:, 1], axis=0) * threshold
    assert np.abs(sums - levels).max() < threshold


def test_wavering_about_a_threshold_gives_one_spike() -> None:
    levels = np.array([5.9, 6.1, 5.9, 6.1, 5.9, 0.0], np.float32)[:, None]
    assert threshold_crossings(levels, 6.0)[..., 0].tolist() == [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 1]]
