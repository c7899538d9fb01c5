"""Dropping events by time, by area and at random, against loops and the binomial distribution."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from membrane.augment.augmentation import Augmentation
from membrane.augment.events import DropArea, DropEvents, DropTime, EventDrop, PolarityFlip, thin
from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dropped(augmentation: Augmentation, x: Tensor, lengths: Tensor | None = None, scale: float = 1.0) -> Tensor:
    """What the pipeline makes of x [N,T,…]."""
    index = torch.arange(len(x))
    pipeline = Pipeline({"drop": augmentation}, len(x), True, seed=0)
    pipeline.fit([x], scale)
    return pipeline.run(Batch(x, index, lengths, index, index), "after", True, 0, 0).x


def test_polarities_are_exchanged_in_the_samples_that_were_drawn() -> None:
    x = torch.rand(40, 3, 2, 5, generator=generator())
    out = dropped(PolarityFlip(), x)
    flipped = (out != x).flatten(1).any(1)
    assert 8 < flipped.sum() < 32
    assert torch.equal(out[flipped], x[flipped][:, :, [1, 0]])
    assert torch.equal(dropped(PolarityFlip(probability=1), x), x[:, :, [1, 0]])


def test_drop_by_time_is_an_interval_of_the_valid_timesteps() -> None:
    augmentation = DropTime(smallest=0.3, largest=0.5)
    x, lengths = torch.ones(300, 12, 2, 3), torch.arange(300) % 8 + 5
    drawn = augmentation.draw(300, generator())
    out = augmentation.apply(x, augmentation.resolve(x, lengths, drawn))
    for result, length, start, duration in zip(
        out, lengths.tolist(), drawn["start"].tolist(), drawn["duration"].tolist(), strict=True
    ):
        assert 0.3 <= duration <= 0.5
        expected = [not (start <= (t + 0.5) / length < start + duration and t < length) for t in range(12)]
        assert np.array_equal(result, np.broadcast_to(np.array(expected)[:, None, None], (12, 2, 3)))


@pytest.mark.parametrize("shape", [(200, 3, 2, 40), (200, 3, 2, 20, 40)])
def test_drop_by_area_is_a_part_of_each_side(shape: tuple[int, ...]) -> None:
    augmentation = DropArea(smallest=0.2, largest=0.4)
    x = torch.ones(shape)
    drawn = augmentation.draw(200, generator()) | {"centre": torch.full((200, 2), 0.5)}
    out = augmentation.apply(x, augmentation.resolve(x, torch.full((200,), 3), drawn))
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    for frame, side in zip(out[:, 0, 0], drawn["side"].tolist(), strict=True):
        hole = np.argwhere(frame.numpy() == 0)
        extent = hole.max(0) - hole.min(0) + 1
        assert len(hole) == extent.prod()  # whole
        assert extent.tolist() == [round(side * size) for size in shape[3:]]


def test_events_are_dropped_one_by_one_and_counts_are_binomial() -> None:
    kept = torch.tensor([0.2, 0.7])
    x = torch.cat([torch.zeros(2, 50_000), torch.full((2, 50_000), 5.0), torch.full((2, 50_000), -1.0)], 1)
    out = x.clone()
    thin(out, kept, 1.0, generator())
    assert (out[:, :50_000] == 0).all()
    for i, probability in enumerate(kept.tolist()):
        counts = out[i, 50_000:100_000].long().bincount(minlength=6).numpy()
        expected = stats.binom(5, probability).pmf(np.arange(6)) * 50_000
        assert stats.chisquare(counts, expected, sum_check=False).pvalue > 0.001
        negative = out[i, 100_000:]
        assert negative.unique().tolist() == [-1, 0]
        assert abs(-negative.mean() - probability) < 4 * (probability * (1 - probability) / 50_000) ** 0.5


def test_counts_that_are_left_are_whole() -> None:
    counts = torch.arange(256.0).repeat(64, 1, 1, 1)  # 49 · (1 / 49) is not 1
    out = dropped(DropEvents(smallest=0.5, largest=0.5), counts)
    assert torch.equal(out, out.round())


def test_counts_are_in_units_of_the_stored_data() -> None:
    stored = torch.randint(7, (4, 3, 2, 30, 30), generator=generator()).float()
    out = dropped(DropEvents(smallest=0.5, largest=0.5), stored / 8, scale=1 / 8)
    counts = out * 8
    assert torch.equal(counts, counts.round())
    assert (counts <= stored).all()
    assert ((counts > 0) & (counts < stored)).any()
    assert abs(counts.sum() / stored.sum() - 0.5) < 0.02


def test_the_share_that_is_dropped_differs_between_samples_and_not_between_frames() -> None:
    left = dropped(DropEvents(), torch.ones(30, 4, 1, 60, 60)).mean((2, 3, 4))
    assert (left - left[:, :1]).abs().max() < 0.06  # 0.01 is the deviation of a frame
    assert left[:, 0].std() > 0.15  # U(0.1, 0.9) has 0.23
    assert left.min() > 0.05
    assert left.max() < 0.95


def test_event_drop_does_one_of_four_things_to_each_sample() -> None:
    augmentation = EventDrop()
    x = torch.ones(400, 10, 2, 20, 20)
    drawn = augmentation.draw(400, generator())
    resolved = augmentation.resolve(x, torch.full((400,), 10), drawn)
    out, strategy = augmentation.apply(x, resolved), drawn["strategy"]
    assert strategy.bincount().min() > 60  # 100 expected
    assert torch.equal(out[strategy == 0], x[strategy == 0])
    for number, alone in ((1, DropTime()), (2, DropArea())):
        part = {key: value[strategy == number] for key, value in drawn.items()}
        some = x[strategy == number]
        expected = alone.apply(some, alone.resolve(some, torch.full((len(some),), 10), part))
        assert torch.equal(out[strategy == number], expected)
    left = out[strategy == 3].flatten(1).mean(1)
    assert (left + drawn["dropped"][strategy == 3] - 1).abs().max() < 0.03


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PolarityFlip(probability=2), "probability must be in"),
        (lambda: dropped(PolarityFlip(), torch.rand(2, 3, 1, 5)), "is for two channels, the polarities, got 1"),
        (lambda: DropTime(smallest=0.5, largest=0.4), "0 ≤ smallest ≤ largest ≤ 1"),
        (lambda: DropArea(largest=1.1), "0 ≤ smallest ≤ largest ≤ 1"),
        (lambda: DropEvents(smallest=-0.1), "0 ≤ smallest ≤ largest ≤ 1"),
    ],
)
def test_bad_values_are_refused_in_one_line(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
