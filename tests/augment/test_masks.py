"""Masks over time and frequency: where they lie, how wide they are, and how often."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from membrane.augment.masks import FrequencyMask, Mask, TimeMask
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError


def masked(mask: Mask, shape: tuple[int, ...], timesteps: bool) -> Tensor:
    """What the mask makes of ones: its result, 0 where it masks."""
    index = torch.arange(shape[0])
    batch = Batch(torch.ones(shape), index, None, index, index)
    return Pipeline({"mask": mask}, shape[0], timesteps, seed=0).run(batch, "after", True, 0, 0).x


def stretches(zeros: Tensor) -> Tensor:
    """How many stretches of zeros [N,L] has each row → [N]."""
    begins = zeros & ~torch.cat([torch.zeros_like(zeros[:, :1]), zeros[:, :-1]], 1)
    return begins.sum(1)


def test_a_time_mask_covers_whole_steps_of_all_channels() -> None:
    out = masked(TimeMask(width=5), (400, 12, 2, 3), True)
    steps = out.flatten(2)
    assert torch.equal(steps, steps[..., :1].expand_as(steps))
    zeros = steps[..., 0] == 0
    assert stretches(zeros).max() == 1
    width = zeros.sum(1)
    assert width.unique().tolist() == [0, 1, 2, 3, 4, 5]
    assert width.bincount().min() > 40  # 67 expected
    begins = zeros[width == 5].float().argmax(1)
    assert begins.unique().tolist() == list(range(8))


def test_masks_end_with_the_valid_steps_and_are_no_wider_than_their_share() -> None:
    lengths = torch.arange(400) % 10 + 3
    mask, x = TimeMask(width=9, share=0.5), torch.ones(400, 12, 1, 1)
    drawn = mask.draw(400, torch.Generator().manual_seed(0))
    zeros = mask.apply(x, mask.resolve(x, lengths, drawn))[:, :, 0, 0] == 0
    assert (zeros.sum(1) <= lengths // 2).all()
    assert not zeros[torch.arange(12) >= lengths[:, None]].any()
    long = lengths == 12
    assert zeros[long].sum(1).max() == 6
    assert zeros[long][:, -1].any()


def test_several_masks() -> None:
    zeros = masked(TimeMask(width=2, masks=3), (500, 30, 1, 1), True)[:, :, 0, 0] == 0
    assert zeros.sum(1).max() == 6
    assert set(stretches(zeros).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("shape", "timesteps", "time", "frequency"),
    [((50, 6, 1, 8), True, 1, 3), ((50, 8, 6), False, 2, 1), ((50, 1, 8, 6), False, 3, 2)],
)
def test_the_axes_of_time_and_frequency(shape: tuple[int, ...], timesteps: bool, time: int, frequency: int) -> None:
    for mask, axis in ((TimeMask(width=3), time), (FrequencyMask(width=3), frequency)):
        out = masked(mask, shape, timesteps).movedim(axis, 1).flatten(2)
        assert torch.equal(out, out[..., :1].expand_as(out))
        assert out[..., 0].eq(0).sum(1).unique().tolist() == [0, 1, 2, 3]


def test_a_mask_as_wide_as_the_axis_may_cover_it() -> None:
    out = masked(FrequencyMask(width=2), (60, 3, 1, 2), True)
    assert out.flatten(1).eq(0).all(1).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TimeMask(width=-1), "width of at least 0"),
        (lambda: FrequencyMask(width=1, masks=0), "masks of at least 1"),
        (lambda: TimeMask(width=1, share=0), "share must be above 0"),
    ],
)
def test_bad_values_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
