"""Length-bucketed batches: each sample once, less padding, the same batches with workers and when resumed."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_data import module, part
from torch import Tensor

from membrane.data.feed.batch import Batch, batch_sizes
from membrane.data.feed.buckets import bucketed
from membrane.data.feed.module import DataModule
from membrane.data.samples import Samples
from membrane.randomness import generator

STEPS = 9


@given(st.data())
def test_an_epoch_is_divided_whole_and_batches_are_of_similar_length(data: st.DataObject) -> None:
    n, size = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 9))
    buckets, last = data.draw(st.integers(1, 5)), data.draw(st.sampled_from(["keep", "drop", "join"]))
    lengths = torch.tensor([data.draw(st.integers(1, 6)) for _ in range(n)])
    order, sizes = torch.randperm(n, generator=torch.Generator().manual_seed(n)), batch_sizes(n, size, last)
    again, ordered = (bucketed(order, lengths, sizes, buckets, generator(0, "b", 1)) for _ in range(2))
    assert torch.equal(ordered, again)
    assert sorted(ordered.tolist()) == list(range(n))
    whole = [length for length in sizes if length == sizes[0]]
    kept = sum(whole)
    assert torch.equal(ordered[kept:], order[kept:])
    # of each pool, sorted by the longest sample of its batches, every batch is at most as long as the next's shortest
    positions = {sample: place for place, sample in enumerate(order.tolist())}
    pools: dict[int, list[Tensor]] = {}
    for batch in ordered[:kept].split(sizes[0]):
        of = {positions[sample] // (buckets * sizes[0]) for sample in batch.tolist()}
        assert len(of) == 1
        pools.setdefault(of.pop(), []).append(lengths[batch])
    for batches in pools.values():
        batches.sort(key=lambda each: (int(each.max()), int(each.min())))
        assert all(one.max() <= other.min() for one, other in pairwise(batches))


def timed(n: int, seed: int = 0) -> Samples:
    """Return n samples [9,1,3] of lengths 1 to 9, with something behind their end."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, STEPS + 1, (n,), generator=draw)
    return part(n, x=torch.rand(n, STEPS, 1, 3, generator=draw), lengths=lengths)


def loaded(buckets: int | None, *, workers: int = 0, pieces: int = 1, last: str = "keep") -> DataModule:
    """Return the data module of 43 training samples."""
    changes = {"workers": workers, "pieces": pieces, "last_batch": last, "batch_size": 4, "timesteps": STEPS}
    return module((timed(43), timed(9, seed=1)), [1, 3], 2, timed=True, buckets=buckets, **changes)


def training_batches(data: DataModule, start: int = 0) -> list[Batch]:
    """Return the batches of the first epoch from a step on."""
    batches = data.train_dataloader()
    batches.load_state_dict({"step": start})
    return list(batches)


@pytest.mark.parametrize("last", ["keep", "join"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_batches_are_cut_to_their_longest_sample(pieces: int, last: str) -> None:
    whole = timed(43)
    batches = training_batches(loaded(3, pieces=pieces, last=last))
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(43))
    for batch in batches:
        assert batch.lengths is not None
        assert whole.lengths is not None
        assert torch.equal(batch.lengths, whole.lengths[batch.index])
        assert torch.equal(batch.x, whole.x[batch.index][:, : int(batch.lengths.max())])


def test_less_is_computed_and_evaluation_is_as_it_was() -> None:
    def padded(buckets: int | None) -> int:
        return sum(batch.x.shape[0] * batch.x.shape[1] for batch in training_batches(loaded(buckets)))

    steps = {buckets: padded(buckets) for buckets in (None, 1, 11)}
    assert steps[None] == 43 * STEPS > steps[1] > steps[11] >= int(timed(43).lengths.sum())  # type: ignore[union-attr]
    for batch, before in zip(loaded(11).test_dataloader(), loaded(None).test_dataloader(), strict=True):
        assert torch.equal(batch.x, before.x)
        assert batch.x.shape[1] == STEPS


def test_workers_and_a_later_start_change_no_batch() -> None:
    expected = training_batches(loaded(3))
    for other, start in ((loaded(3, workers=2), 0), (loaded(3), 4), (loaded(3, workers=2), 4)):
        for batch, before in zip(training_batches(other, start), expected[start:], strict=True):
            for column, same in zip(batch[:-1], before[:-1], strict=True):
                assert torch.equal(column, same)
            assert batch.weight == before.weight


def test_epochs_differ_and_seeds_do() -> None:
    data = loaded(3)
    orders = [data.order(data.part("train"), epoch).tolist() for epoch in (0, 1, 1)]
    assert orders[0] != orders[1] == orders[2]
    data.seed = 1
    assert data.order(data.part("train"), 1).tolist() != orders[1]
