"""Parts of data sets without official ones: of each class a tenth, by name of the partition."""

from pathlib import Path

import numpy as np
import pytest

from membrane.data.events.partitions import drawn_from_each_class, partitioned, rest_of_each_class
from membrane.data.store.labelled import LabelledFile
from membrane.errors import ConfigError

LABELS = [1] * 10 + [0] * 25 + [2] * 4


def test_the_rest_of_each_class_is_behind_nine_tenths_rounded_up() -> None:
    assert np.flatnonzero(rest_of_each_class(LABELS)).tolist() == [9, 33, 34]
    assert np.flatnonzero(rest_of_each_class(LABELS[::-1])).tolist() == [27, 28, 38]


def test_the_drawn_tenth_is_stratified_and_always_the_same() -> None:
    """The positions are fixed: another draw is another test set, with other published results."""
    labels = [number % 10 for number in range(1000)]
    drawn = drawn_from_each_class(labels)
    assert np.bincount(np.array(labels)[drawn]).tolist() == [10] * 10
    assert np.flatnonzero(drawn)[:8].tolist() == [4, 9, 28, 60, 62, 67, 70, 73]
    assert not np.array_equal(drawn, rest_of_each_class(labels))


def test_parts_keep_their_order_and_every_recording_is_in_one() -> None:
    recordings = [LabelledFile(Path(str(number)), label) for number, label in enumerate(LABELS)]
    evens = np.arange(len(LABELS)) % 2 == 0
    for name, test in (("spikingjelly", rest_of_each_class(LABELS)), ("evens", evens)):
        parts = partitioned(recordings, name, evens=evens)
        assert parts["test"] == [recordings[at] for at in np.flatnonzero(test)]
        assert parts["train"] == [recordings[at] for at in np.flatnonzero(~test)]
    assert len(partitioned(recordings, "random")["test"]) == 4
    with pytest.raises(ConfigError, match="partition must be one of spikingjelly, random, evens, not 'odds'"):
        partitioned(recordings, "odds", evens=evens)
