"""The input of a step of training or evaluation."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """x [N,…] or [N,T,…], y [N] (or [N,K]: soft, or targets), lengths [N] or None, recording [N], index [N].

    ``lengths`` counts the valid timesteps of each sample (None: all of them). Samples with the same ``recording`` were
    cut from one. ``index`` is the sample's position in its data set. ``weight`` is the factor of the batch's mean loss
    in training: see `step_weights`.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None
    recording: Tensor
    index: Tensor  # type: ignore[assignment]  # hides the method of tuples
    weight: float = 1.0


def batch_sizes(samples: int, batch_size: int, last: str = "keep") -> list[int]:
    """Return the sizes of an epoch's batches.

    ``last`` says what becomes of a short last batch: ``keep`` leaves it as it is, ``drop`` leaves it out, ``join`` adds
    its samples to the batch before. One that is the only batch is always kept.

    >>> batch_sizes(7, 3), batch_sizes(7, 3, "drop"), batch_sizes(7, 3, "join")
    ([3, 3, 1], [3, 3], [3, 4])
    """
    whole, rest = divmod(samples, batch_size)
    sizes = [batch_size] * whole
    if rest and (last == "keep" or not whole):
        sizes.append(rest)
    elif rest and last == "join":
        sizes[-1] += rest
    return sizes


def step_weights(sizes: Sequence[int], accumulate: int) -> list[float]:
    """Return the weight of each batch of an epoch, from their numbers of samples in order.

    An optimiser step adds up the gradients of ``accumulate`` batches, each divided by ``accumulate``, even where the
    epoch ends after fewer. The weights make the sum the mean over the step's samples; they are 1 where a step has
    ``accumulate`` batches of equal size. Six batches of two samples and one of one, of which four make a step:

    >>> step_weights([2, 2, 2, 2, 2, 2, 1], accumulate=4)
    [1.0, 1.0, 1.0, 1.0, 1.6, 1.6, 0.8]
    """
    weights = []
    for start in range(0, len(sizes), accumulate):
        step = sizes[start : start + accumulate]
        weights += [size * accumulate / sum(step) for size in step]
    return weights
