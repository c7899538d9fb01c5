"""The input of a step of training or evaluation."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """x [N,…] or [N,T,…], y [N] (or [N,K]: soft, or targets), lengths [N] or None, recording [N], index [N].

    ``lengths`` counts the valid timesteps of each sample (None: all of them). Samples with the same ``recording`` were
    cut from one. ``index`` is the sample's position in its data set.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None
    recording: Tensor
    index: Tensor  # type: ignore[assignment]  # hides the method of tuples
