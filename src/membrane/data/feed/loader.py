"""Batches of samples: gathered by index, not collated sample by sample, in this process or in workers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

import torch
from torch import Tensor

from membrane.data.feed.batch import Batch, batch_sizes
from membrane.data.feed.part import Part
from membrane.data.feed.workers import Workers


class Batches:
    """Iterates over batches [N,…] of samples; the last one may have another size.

    ``state_dict`` and ``load_state_dict`` are Lightning's protocol for a loader that resumes in the middle of an epoch.

    Arguments:
        part: n samples.
        batch_size: N.
        order: epoch → order of the samples [n]. None: as they are.
        transform: (batch, epoch, step) → batch, applied to every batch.
        epoch: returns the current epoch; called at the first batch of an iteration. 0 by default.
        workers: processes that build the batches ahead of time. None: this process builds them when needed.
        pieces: parts of equal size, within one sample, in which each batch comes, for a device that cannot hold a
            whole one. A batch of fewer samples comes in as many pieces as it has samples.
        weigh: numbers of samples of an epoch's batches (or pieces) → `Batch.weight` of each; called at the first batch
            of an iteration. None: they weigh 1.
        last: what becomes of a short last batch, as in `batch_sizes`; ``keep`` by default.
        trim: cut each batch (or piece) of samples with lengths to the timesteps of its longest one.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        order: Callable[[int], Tensor] | None = None,
        transform: Callable[[Batch, int, int], Batch] | None = None,
        epoch: Callable[[], int] = lambda: 0,
        workers: Workers | None = None,
        pieces: int = 1,
        weigh: Callable[[Sequence[int]], Sequence[float]] | None = None,
        last: str = "keep",
        trim: bool = False,
    ) -> None:
        self.part = part
        self.batch_size = batch_size
        self.order = order
        self.transform = transform
        self.epoch = epoch
        self.workers = workers
        self.pieces = pieces
        self.weigh = weigh
        self.trim = trim
        self.sizes = batch_sizes(len(part), batch_size, last)
        self.start = 0
        self.step = 0

    def __len__(self) -> int:
        return sum(min(size, self.pieces) for size in self.sizes)

    def __iter__(self) -> Iterator[Batch]:
        # a generator, so that start and epoch are read at the first batch: Lightning calls iter() earlier
        start, self.start = self.start, 0
        self.step = start
        epoch = self.epoch()
        order = self.order(epoch) if self.order else torch.arange(len(self.part))
        build = partial(self.build, self.in_order(order), epoch)
        steps = range(start, len(self))
        with closing(
            self.workers.batches(build, steps) if self.workers else (build(step) for step in steps)
        ) as batches:
            for batch in batches:
                self.step += 1
                yield batch

    def in_order(self, order: Tensor) -> list[Batch]:
        """Return an epoch's batches without x, in its place an empty one; the small columns are ordered at once.

        Where batches are trimmed the empty x is [0,T′], T′ the timesteps of the batch.
        """
        part = self.part
        positions = order.to(part.y.device)
        columns = (part.y[positions], part.recording[positions], part.index[order])
        none = part.y.new_empty(0)
        batches = [Batch(none, y, None, *rest) for y, *rest in zip(*map(self.split_steps, columns), strict=True)]
        if part.lengths is not None:
            lengths = self.split_steps(part.lengths[positions])
            batches = [batch._replace(lengths=length) for batch, length in zip(batches, lengths, strict=True)]
            if self.trim:  # all at once, so that a device is waited for once an epoch
                longest = torch.stack([length.amax() for length in lengths]).tolist()
                batches = [
                    batch._replace(x=none.new_empty(0, most)) for batch, most in zip(batches, longest, strict=True)
                ]
        if self.weigh is None:
            return batches
        weights = self.weigh([len(batch.y) for batch in batches])
        return [batch._replace(weight=weight) for batch, weight in zip(batches, weights, strict=True)]

    def split_steps(self, column: Tensor) -> tuple[Tensor, ...]:
        """Split an epoch's column [n] into those of its steps, [N] each."""
        batches = torch.split(column[: sum(self.sizes)], self.sizes)
        if self.pieces == 1:
            return batches
        return tuple(part for batch in batches for part in torch.tensor_split(batch, min(self.pieces, len(batch))))

    def build(self, batches: list[Batch], epoch: int, step: int) -> Batch:
        """Build the batch of a step, independently of the steps before."""
        batch = batches[step]
        following = batches[step + 1].index if step + 1 < len(batches) else None
        timesteps = batch.x.shape[1] if self.trim and batch.lengths is not None else None
        x = self.part.gather(batch.index, following, timesteps).float()
        batch = batch._replace(x=x * self.part.scale if self.part.scale != 1 else x)
        if self.workers:  # a view would take its whole column along to the other process
            batch = batch._replace(y=batch.y.clone(), recording=batch.recording.clone(), index=batch.index.clone())
            batch = batch if batch.lengths is None else batch._replace(lengths=batch.lengths.clone())
        return self.transform(batch, epoch, step) if self.transform else batch

    def state_dict(self) -> dict[str, int]:
        """Return the number of batches handed out in this epoch; those that workers built ahead do not count."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration start after that many batches, and those after it at the first again."""
        self.start = self.step = state["step"] % max(len(self), 1)  # after all of them the epoch was over
