"""Training and test part of data sets that have no official ones, as papers divide them."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from membrane.data.feed.splits import stratified
from membrane.data.store.labelled import LabelledFile
from membrane.errors import ConfigError

TRAINING_SHARE = 0.9
DRAWN_SEED = 20240301
"""Of the test part that is drawn; no configuration changes it."""
Mask = NDArray[np.bool_]


def rest_of_each_class(labels: Sequence[int]) -> Mask:
    """Return which of labels [n] are behind the first 90 % of their class → [n].

    They are the test part of SpikingJelly's ``split_to_train_test_set(0.9, …)``, which rounds the 90 % up.
    """
    classes = np.asarray(labels)
    behind = np.zeros(len(classes), bool)
    for label in np.unique(classes):
        of_class = np.flatnonzero(classes == label)
        behind[of_class[math.ceil(len(of_class) * TRAINING_SHARE) :]] = True
    return behind


def drawn_from_each_class(labels: Sequence[int]) -> Mask:
    """Return which of labels [n] are in 10 % that are drawn, stratified and always the same ones → [n]."""
    drawn = np.zeros(len(labels), bool)
    drawn[stratified(torch.tensor(labels), 1 - TRAINING_SHARE, DRAWN_SEED)[1].numpy()] = True
    return drawn


def partitioned(recordings: Sequence[LabelledFile], partition: str, **others: Mask) -> dict[str, list[LabelledFile]]:
    """Return training and test part of recordings [n], which keep their order.

    ``partition`` is ``spikingjelly``, ``random``, or one of ``others``, which say which recordings test [n]. Raises
    ConfigError for another name.
    """
    labels = [recording.label for recording in recordings]
    named = {"spikingjelly": rest_of_each_class, "random": drawn_from_each_class}
    if partition not in (*named, *others):
        raise ConfigError(f"partition must be one of {', '.join((*named, *others))}, not {partition!r}")
    test = others[partition] if partition in others else named[partition](labels)
    return {
        part: [recording for recording, tests in zip(recordings, test, strict=True) if tests == (part == "test")]
        for part in ("train", "test")
    }
