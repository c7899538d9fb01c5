"""Labels of frames whose events have labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UNLABELLED = -1
"""The label of a frame without events."""


def majority_labels(labels: NDArray[np.integer], bounds: Sequence[int]) -> NDArray[np.int64]:
    """Return the label that most events of each frame have → [F]; the smallest of several, −1 if there are no events.

    Labels [n] are of events in the order that the bounds are of, as `slice_bounds` or `duration_bounds` return them;
    frame k is of the events from bound k to the next. Raises ValueError for a negative label.

    >>> majority_labels(np.array([2, 5, 5, 0, 1]), [0, 3, 3, 5]).tolist()
    [5, -1, 0]
    """
    own = np.asarray(labels)[bounds[0] : bounds[-1]].astype(np.int64)
    if not len(own):
        return np.full(len(bounds) - 1, UNLABELLED)
    if own.min() < 0:
        raise ValueError(f"labels from 0 on are expected, got {own.min()}")
    sizes = np.diff(bounds)
    values, index = np.unique(own, return_inverse=True)
    cell = np.repeat(np.arange(len(sizes)), sizes) * len(values) + index
    votes = np.bincount(cell, minlength=len(sizes) * len(values)).reshape(len(sizes), len(values))
    return np.where(sizes > 0, values[votes.argmax(1)], UNLABELLED)
