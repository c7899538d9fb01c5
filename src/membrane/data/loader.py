"""Batches of samples that are held in memory: by index, without workers, without collating sample by sample."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from membrane.data.batch import Batch
from membrane.data.samples import Samples


class Batches:
    """Iterates over [N,…] batches of ``samples``; the last one may be short.

    ``index`` [n] is each sample's place in its data set. ``order()`` gives the order of the samples [n] of the coming
    epoch (None: as they are). ``transform(batch, step)`` is applied to each batch before it is handed out.
    """

    def __init__(
        self,
        samples: Samples,
        index: Tensor,
        batch_size: int,
        order: Callable[[], Tensor] | None = None,
        transform: Callable[[Batch, int], Batch] | None = None,
    ) -> None:
        self.samples = samples
        self.index = index
        self.batch_size = batch_size
        self.order = order
        self.transform = transform

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.order() if self.order else torch.arange(len(self.samples))
        order = order.to(self.samples.y.device)
        for step, chosen in enumerate(torch.split(order, self.batch_size)):
            part = self.samples.take(chosen)
            x = part.x.float() * part.scale if part.scale != 1 else part.x.float()
            batch = Batch(x, part.y, None, part.recording, self.index[chosen.cpu()].to(part.y.device))
            yield self.transform(batch, step) if self.transform else batch
