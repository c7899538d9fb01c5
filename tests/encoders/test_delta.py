"""Delta modulation: spikes by hand, by a plain loop, and the signal that they were made from."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from membrane.encoders.delta import Delta
from membrane.errors import ConfigError

SIGNAL = torch.tensor([[[5.0, 5.9, 7.25, 9.5, 9.5, 6.0, 6.0, 6.0]]])  # [N,C,S] = [1,1,8]
CHANGES = [0, 0, 1, 1, 1, -1, -1, 0]
# followed with a threshold of 1: 5, 5 (0.9 is too little), 6, 7, 8, 7 (2 below), 6, 6


def by_loop(signal: list[float], threshold: float) -> list[int]:
    followed, changes = signal[0], [0]
    for value in signal[1:]:
        change = 1 if value - followed >= threshold else -1 if followed - value >= threshold else 0
        followed += change * threshold
        changes.append(change)
    return changes


def encoded(x: torch.Tensor, timesteps: int, **settings: Any) -> torch.Tensor:
    """The spikes [N,T,C′,S/T], of the shape that is announced."""
    encoder = Delta(timesteps=timesteps, **settings)
    spikes = encoder.encode(x, {})
    assert list(spikes.shape) == [len(x), timesteps, *encoder.frame_shape(x.shape[1:])]
    return spikes


def test_changes_by_hand() -> None:
    assert encoded(SIGNAL, 1, threshold=1.0, polarity="signed").flatten().tolist() == CHANGES
    assert by_loop(SIGNAL.flatten().tolist(), 1.0) == CHANGES


def test_a_timestep_is_a_chunk_of_the_signal_with_on_spikes_before_off_spikes() -> None:
    x = torch.cat([SIGNAL, -SIGNAL], dim=1)  # two channels
    on, off = [max(each, 0) for each in CHANGES], [max(-each, 0) for each in CHANGES]
    spikes = encoded(x, 4, threshold=1.0)
    assert spikes.shape == (1, 4, 4, 2)
    for t in range(4):
        part = slice(2 * t, 2 * t + 2)
        assert spikes[0, t].tolist() == [on[part], off[part], off[part], on[part]]
    assert torch.equal(encoded(x, 4, threshold=1.0, polarity="on"), spikes[:, :, :2])


def test_with_as_many_timesteps_as_samples_each_sample_is_one() -> None:
    spikes = encoded(SIGNAL, 8, threshold=1.0, polarity="signed")
    assert spikes.shape == (1, 8, 1, 1)
    assert spikes.flatten().tolist() == CHANGES


@given(st.lists(st.floats(-4, 4, width=16), min_size=1, max_size=30), st.sampled_from([0.25, 1.0, 2.0]))
def test_changes_are_those_of_a_plain_loop(signal: list[float], threshold: float) -> None:
    x = torch.tensor([[signal], [signal[::-1]]], dtype=torch.float64)
    spikes = encoded(x, 1, threshold=threshold, polarity="signed")
    assert spikes[0].flatten().tolist() == by_loop(signal, threshold)
    assert spikes[1].flatten().tolist() == by_loop(signal[::-1], threshold)


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=40))
def test_a_signal_that_changes_slowly_is_followed_to_less_than_the_threshold(eighths: list[int]) -> None:
    x = torch.tensor(eighths, dtype=torch.float64).cumsum(0)[None, None] / 8  # no step is above 1
    spikes = encoded(x, 1, threshold=1.0)
    on, off = spikes[0, 0]
    assert (on * off == 0).all()
    assert ((x[0, 0, 0] + (on - off).cumsum(0)) - x[0, 0]).abs().max() < 1


def test_what_cannot_be_encoded_is_refused() -> None:
    for make, line in (
        (lambda: Delta(timesteps=3).frame_shape([2, 8]), "8 samples cannot be cut into T=3 chunks of equal length"),
        (lambda: Delta(timesteps=2).frame_shape([1, 8, 8]), "needs signals [C,S], got samples [1, 8, 8]"),
        (lambda: Delta(timesteps=2, threshold=0.0), "threshold must be above 0, got 0.0"),
        (lambda: Delta(timesteps=2, polarity="off"), "polarity must be one of channels, signed, on, got off"),
    ):
        with pytest.raises(ConfigError) as caught:
            make()
        assert str(caught.value) == f"encoder Delta: {line}"
