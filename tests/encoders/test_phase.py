"""Phase coding: binary digits, against Python's integers, the paper's table and SpikingJelly's encoder."""

import pytest
import torch
from spikingjelly.activation_based import encoding

from membrane.encoders.phase import Phase
from membrane.errors import ConfigError

BYTES = torch.arange(256.0)[None, None] / 256  # [1,1,256]


def digits(x: torch.Tensor, timesteps: int, **settings: int) -> list[str]:
    """The spikes of each of the values [1,1,S] over time, as text."""
    encoded = Phase(timesteps=timesteps, **settings).encode(x, {})
    return ["".join(str(int(spike)) for spike in value) for value in encoded[0, :, 0].T]


def test_the_papers_table() -> None:
    x = torch.tensor([[[192.0, 1.0, 128.0, 255.0]]]) / 256
    assert digits(x, 8) == ["11000000", "00000001", "10000000", "11111111"]


def test_spikes_are_the_binary_expansion_and_those_of_spikingjelly() -> None:
    assert digits(BYTES, 8) == [f"{byte:08b}" for byte in range(256)]
    theirs = encoding.WeightedPhaseEncoder(8).single_step_encode(BYTES)  # [T,N,C,S]
    assert torch.equal(Phase(timesteps=8).encode(BYTES, {}), theirs.transpose(0, 1))


def test_all_digits_of_a_float_are_exact() -> None:
    x = torch.rand(1, 1, 1000, generator=torch.Generator().manual_seed(0))
    assert digits(x, 24, period=24) == [f"{int(value * 2**24):024b}" for value in x.flatten().tolist()]


def test_a_period_is_cut_short_or_repeated() -> None:
    whole = digits(BYTES, 8)
    assert digits(BYTES, 3) == [each[:3] for each in whole]
    assert digits(BYTES, 19) == [(each * 3)[:19] for each in whole]
    assert digits(BYTES, 4, period=2) == [each[:2] * 2 for each in whole]


@pytest.mark.parametrize("period", [1, 8, 24])
def test_one_is_the_largest_value_that_can_be_encoded(period: int) -> None:
    assert digits(torch.ones(1, 1, 1), period, period=period) == ["1" * period]


def test_weighted_spikes_of_a_period_add_up_to_the_value() -> None:
    encoded = Phase(timesteps=8, weighted=True).encode(BYTES, {})
    assert torch.equal(encoded.sum(1), BYTES)
    assert encoded[0, :, 0, 255].tolist() == [2.0**-k for k in range(1, 9)]


def test_a_period_beyond_what_a_float_holds_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^encoder Phase: period must be from 1 to 24, got 25$"):
        Phase(timesteps=4, period=25)
