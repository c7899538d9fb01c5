"""Batches of samples that are held in memory: by index, without collating sample by sample, here or in workers."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import torch
from torch import Tensor

from membrane.data.feed.batch import Batch
from membrane.data.feed.workers import Workers
from membrane.data.samples import Samples


class Batches:
    """Iterates over [N,…] batches of ``samples``; the last one may be short.

    ``index`` [n] is each sample's place in its data set. ``order(epoch)`` gives the order of the samples [n] (None: as
    they are), ``transform(batch, epoch, step)`` is applied to each batch before it is handed out; ``epoch()`` is asked
    when the first batch of an iteration is. With ``workers`` the same batches are built in other processes, ahead of
    the one that is needed.

    Each batch comes in ``pieces``, as equal as can be; one of fewer samples in as many as it has.

    ``state_dict`` and ``load_state_dict`` are Lightning's for a loader that can start in the middle of an epoch.
    """

    def __init__(
        self,
        samples: Samples,
        index: Tensor,
        batch_size: int,
        order: Callable[[int], Tensor] | None = None,
        transform: Callable[[Batch, int, int], Batch] | None = None,
        epoch: Callable[[], int] = lambda: 0,
        workers: Workers | None = None,
        pieces: int = 1,
    ) -> None:
        self.samples = samples
        self.index = index
        self.batch_size = batch_size
        self.order = order
        self.transform = transform
        self.epoch = epoch
        self.workers = workers
        self.pieces = pieces
        self.start = 0
        self.step = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self.samples), self.batch_size)
        return whole * self.pieces + min(rest, self.pieces)

    def __iter__(self) -> Iterator[Batch]:
        # A generator: where to start and the epoch are read at the first batch. Lightning calls iter() earlier.
        start, self.start = self.start, 0
        self.step = start
        epoch = self.epoch()
        order = self.order(epoch) if self.order else torch.arange(len(self.samples))
        build = partial(self.build, self.in_order(order), epoch)
        steps = range(start, len(self))
        with closing(self.workers.batches(build, steps) if self.workers else (build(step) for step in steps)) as made:
            for batch in made:
                self.step += 1
                yield batch

    def in_order(self, order: Tensor) -> list[Batch]:
        """The batches of an epoch, with the places [N] of their samples as x: what is small is put in order at once."""
        samples = self.samples
        places = order.to(samples.y.device)
        y, recording = samples.y.index_select(0, places), samples.recording.index_select(0, places)
        columns = (places, y, recording, self.index.index_select(0, order).to(samples.y.device))
        return [Batch(x, y, None, *rest) for x, y, *rest in zip(*map(self.cut, columns), strict=True)]

    def cut(self, order: Tensor) -> tuple[Tensor, ...]:
        """What each sample [n] of an epoch has, in order → that of each step."""
        batches = torch.split(order, self.batch_size)
        if self.pieces == 1:
            return batches
        return tuple(part for batch in batches for part in torch.tensor_split(batch, min(self.pieces, len(batch))))

    def build(self, batches: list[Batch], epoch: int, step: int) -> Batch:
        """The batch of a step, of the samples at ``batches[step].x``: nothing of the steps before it is needed."""
        batch = batches[step]
        x = self.samples.x.index_select(0, batch.x).float()
        batch = batch._replace(x=x * self.samples.scale if self.samples.scale != 1 else x)
        if self.workers:  # on its way out of a process a part of a column would take the whole column along
            batch = batch._replace(y=batch.y.clone(), recording=batch.recording.clone(), index=batch.index.clone())
        return self.transform(batch, epoch, step) if self.transform else batch

    def state_dict(self) -> dict[str, int]:
        """How many batches of this epoch were handed out; what workers have built ahead does not count."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next iteration starts after so many batches, those after it at the first one again."""
        self.start = self.step = state["step"] % max(len(self), 1)  # after all of them the epoch was over
