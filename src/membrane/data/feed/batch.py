"""What a step of training or evaluation receives."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """x [N,…] or [N,T,…], y [N] (or [N,K]: soft, or targets), lengths [N] or None, recording [N], index [N].

    ``lengths`` counts the valid timesteps of each sample (None: all of them), ``recording`` says which samples were
    cut from one recording, ``index`` is the sample's place in its data set.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None
    recording: Tensor
    index: Tensor  # type: ignore[assignment]  # a field, in place of the method of tuples
