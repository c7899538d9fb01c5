"""Samples of similar length in one batch, so that less padding is computed."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def bucketed(order: Tensor, lengths: Tensor, sizes: Sequence[int], buckets: int, generator: Generator) -> Tensor:
    """Reorder an epoch's ``order`` [n] of samples with ``lengths`` [n] → [n], each sample once.

    The samples of so many batches as there are ``buckets`` are sorted by length, and fill as many again; then batches
    are put in a new order, drawn from the generator. A last batch of another size stays, with its samples, as it is:
    neither it nor what is dropped behind it is made of the longest samples.

    >>> order, lengths = torch.arange(7), torch.tensor([5, 1, 4, 2, 3, 9, 9])
    >>> bucketed(order, lengths, sizes=[2, 2, 3], buckets=2, generator=torch.Generator().manual_seed(0)).tolist()
    [2, 0, 1, 3, 4, 5, 6]
    """
    whole = sum(size == sizes[0] for size in sizes)
    head, rest = order[: whole * sizes[0]], order[whole * sizes[0] :]
    pools = torch.split(head, buckets * sizes[0])
    batches = torch.cat([pool[lengths[pool].sort(stable=True).indices] for pool in pools]).reshape(whole, sizes[0])
    return torch.cat([batches[torch.randperm(whole, generator=generator)].flatten(), rest])
