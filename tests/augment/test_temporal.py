"""Shifts and warps of time against loops over samples; padding is neither read nor changed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from membrane.augment.augmentation import Augmentation
from membrane.augment.masks import TimeMask
from membrane.augment.pipeline import Pipeline
from membrane.augment.temporal import TimeShift, TimeSubset, TimeWarp
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError

seeds = st.integers(0, 2**31)


def applied(augmentation: Augmentation, x: Tensor, lengths: Tensor, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """The result on x [N,L,…], and what was drawn."""
    drawn = augmentation.draw(len(x), torch.Generator().manual_seed(seed))
    return augmentation.apply(x, augmentation.resolve(x, lengths, drawn)), drawn


def numbered(n: int = 6, steps: int = 9) -> tuple[Tensor, Tensor]:
    """x [N,L,2,3], of which each step holds its number from 1 on, and lengths 4 to L."""
    x = torch.arange(1.0, steps + 1).reshape(1, steps, 1, 1).repeat(n, 1, 2, 3)
    return x, torch.arange(n) + steps - n + 1


@settings(max_examples=25)
@given(st.booleans(), st.integers(0, 12), seeds)
def test_shift_equals_a_loop_within_the_valid_steps(wrap: bool, steps: int, seed: int) -> None:
    x, lengths = numbered()
    out, drawn = applied(TimeShift(steps=steps, wrap=wrap), x, lengths, seed)
    for result, length, offset in zip(out, lengths.tolist(), drawn["offset"].tolist(), strict=True):
        expected = np.arange(1.0, 10)
        for step in range(length):
            source = step - offset
            expected[step] = source % length + 1 if wrap else source + 1 if 0 <= source < length else 0
        assert np.array_equal(result[:, 0, 0], expected)
        assert (result == result[:, :1, :1]).all()


@settings(max_examples=25)
@given(st.floats(0, 4), st.sampled_from(["linear", "nearest"]), seeds)
def test_warp_equals_numpys_interpolation_between_three_points(steps: float, interpolation: str, seed: int) -> None:
    x, lengths = numbered()
    out, drawn = applied(TimeWarp(steps=steps, interpolation=interpolation), x, lengths, seed)  # type: ignore[arg-type]
    for i, length in enumerate(lengths.tolist()):
        last = length - 1
        most = min(steps, last / 3)
        point = most + float(drawn["point"][i]) * (last - 2 * most)
        moved = point + float(drawn["displacement"][i]) * most
        source = np.interp(np.arange(length), [0, moved, last], [0, point, last])
        expected = np.concatenate([source + 1, np.arange(length + 1.0, 10)])
        if interpolation == "linear":
            np.testing.assert_allclose(out[i, :, 0, 0], expected, atol=1e-4)
        else:
            assert np.abs(out[i, :, 0, 0] - expected).max() <= 0.5 + 1e-4
            assert torch.equal(out[i], out[i].round())
        assert out[i, 0, 0, 0] == 1
        assert out[i, last, 0, 0] == length


def test_a_sample_of_one_step_stays_as_it_is() -> None:
    x = torch.rand(5, 4, 2)
    out, _ = applied(TimeWarp(steps=2), x, torch.ones(5, dtype=torch.int64))
    assert torch.equal(out, x)


@pytest.mark.parametrize("augmentation", [TimeShift(steps=3), TimeWarp(steps=1), TimeMask(width=3, masks=2)])
def test_padding_changes_nothing(augmentation: Augmentation) -> None:
    x = torch.rand(16, 6, 2, 5, generator=torch.Generator().manual_seed(1))
    lengths = torch.full((16,), 6)
    longer = torch.cat([x, torch.full((16, 4, 2, 5), torch.nan)], 1)
    short, _ = applied(augmentation, x, lengths)
    long, _ = applied(augmentation, longer, lengths)
    assert torch.equal(long[:, :6], short)
    assert long[:, 6:].isnan().all()
    assert torch.equal(augmentation.lengths(lengths, {}), lengths)


def test_time_is_t_or_the_last_axis() -> None:
    """A signal [N,C,S] is moved along S, as its steps would be with timesteps in the data [N,S,C,1]."""
    x = torch.rand(6, 3, 10, generator=torch.Generator().manual_seed(0))
    index = torch.arange(6)

    def shifted(x: Tensor, timesteps: bool) -> Tensor:
        batch = Batch(x, index, None, index, index)
        return Pipeline({"shift": TimeShift(steps=4)}, 6, timesteps, seed=0).run(batch, "after", True, 0, 0).x

    signal, steps = shifted(x, False), shifted(x.transpose(1, 2).unsqueeze(3), True)
    assert torch.equal(signal, steps.squeeze(3).transpose(1, 2))
    assert not torch.equal(signal, x)


@pytest.mark.parametrize(
    "make", [lambda: TimeShift(steps=-1), lambda: TimeWarp(steps=-0.1), lambda: TimeWarp(steps=float("nan"))]
)
def test_bad_steps_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match=r"steps must be a .* number of at least 0"):
        make()


@settings(max_examples=25)
@given(st.integers(1, 9), seeds)
def test_a_subset_keeps_so_many_valid_steps_in_order(steps: int, seed: int) -> None:
    x, lengths = numbered()
    augmentation = TimeSubset(steps=steps)
    out, drawn = applied(augmentation, x, lengths, seed)
    kept = augmentation.lengths(lengths, drawn)
    assert out.shape == (6, steps, 2, 3)
    for result, length, valid in zip(out[:, :, 0, 0], lengths.tolist(), kept.tolist(), strict=True):
        assert valid == min(length, steps)
        numbers = result[:valid].tolist()
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= set(range(1, length + 1))


def test_every_subset_is_as_likely() -> None:
    x = torch.arange(4.0).reshape(1, 4, 1, 1).expand(6000, 4, 1, 1)
    out, _ = applied(TimeSubset(steps=2), x, torch.full((6000,), 4))
    pairs = (out[:, 0] * 4 + out[:, 1]).flatten().unique(return_counts=True)
    assert pairs[0].tolist() == [1, 2, 3, 6, 7, 11]  # 01 02 03 12 13 23
    assert (pairs[1] - 1000).abs().max() < 4 * 30  # four standard deviations of a binomial


def test_samples_without_lengths_get_them_in_training_alone() -> None:
    pipeline = Pipeline({"subset": TimeSubset(steps=3)}, classes=2, timesteps_in_data=True, seed=0)
    index = torch.arange(5)
    batch = Batch(torch.rand(5, 7, 2, 4), index % 2, None, index, index)
    trained = pipeline.run(batch, "after", True, 0, 0)
    assert trained.lengths is not None
    assert (trained.x.shape, trained.lengths.tolist()) == ((5, 3, 2, 4), [3] * 5)
    assert pipeline.run(batch, "after", False, 0, 0).x is batch.x


def test_a_subset_of_no_step_is_refused() -> None:
    with pytest.raises(ConfigError, match="TimeSubset: steps must be a whole number of at least 1, got 0"):
        TimeSubset(steps=0)
