"""Samples that belong together: those of a recording, or of a subject, go to one side of a split as a whole."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from membrane.data.feed.part import Part
from membrane.errors import ConfigError

Integers = NDArray[np.int64]
CHOSEN = 64
"""Groups that are chosen for their classes rather than drawn, at most."""


def indivisible(*columns: Tensor) -> Tensor | None:
    """Number the sets of samples that any of the columns [n] joins → [n], or None if each sample is on its own.

    Two samples are in one set if a column has the same number for both, or if others connect them so.
    """
    numbers = [np.unique(column.cpu().numpy(), return_inverse=True)[1] for column in columns]
    sets: Integers = numbers[0].astype(np.int64)
    before = None
    while before is None or not np.array_equal(sets, before):  # the smallest number spreads from set to set
        before = sets
        for number in numbers[1:]:
            sets = smallest_in_set(smallest_in_set(sets, number), numbers[0])
    return None if len(np.unique(sets)) == len(sets) else torch.from_numpy(sets)


def shared_groups(part: Part, *others: Part) -> int:
    """Return the number of groups in a part that are in others too; 0 where there are none."""
    columns = [each.group for each in others if each.group is not None]
    if part.group is None or not columns:
        return 0
    return len(np.intersect1d(part.group.cpu().numpy(), torch.cat(columns).cpu().numpy()))


def several_a_recording(part: Part) -> bool:
    """Return whether recordings of a part give several samples, all those of one recording with the same label [n]."""
    labelled = np.unique(torch.stack([part.recording, part.y], 1).cpu().numpy(), axis=0)
    return len(labelled) == len(np.unique(labelled[:, 0])) < len(part)


def smallest_in_set(values: Integers, number: Integers) -> Integers:
    """Replace each of values [n] by the smallest among the samples of its ``number`` [n] → [n]."""
    smallest = np.full(number.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(smallest, number, values)
    return smallest[number]


def in_order_of_key(groups: NDArray[np.integer], keys: NDArray[np.uint64]) -> Integers:
    """Number groups [n] by the random key of each one's first sample → [n], so that their own numbers do not matter."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(keys[first], kind="stable")] = np.arange(len(first))
    numbered: Integers = rank[inverse]
    return numbered


class Cut(NamedTuple):
    """A part that is cut from the training data, as refusals speak of it.

    Arguments:
        part: its name.
        setting: that of its share.
        without: what else to do where it would be empty.
        undivided: what to do where whole recordings and groups cannot make it.
    """

    part: str
    setting: str
    without: str
    undivided: str


VALIDATES = Cut(
    "validation",
    "dataset.validation",
    "protocol=last, which needs none",
    "use protocol=last, or give the data set a validation part of its own",
)
TESTS = Cut(
    "test",
    "dataset.test_share",
    "give the data set a test part of its own",
    "give the data set a test part of its own",
)


def draw_groups(classes: Integers, groups: Integers, fraction: float, cut: Cut = VALIDATES) -> NDArray[np.bool_]:
    """Draw whole groups for the part that is cut → [G]; classes and groups [n] are numbered from 0.

    Groups are in random order. In that order each is taken that brings the size of the part nearer to fraction·n, and
    of whose samples its classes are still short. So two thirds are drawn, or all but about CHOSEN groups; for the rest,
    as long as a group brings the size nearer, the one is taken that brings the classes nearest to their shares. Each
    class keeps samples for training. Where no group fits the size, one that does not exceed half of the samples is
    taken. Raises ConfigError if there is none.
    """
    draw = GroupDraw(classes, groups, fraction, cut)
    rest = min(draw.missing / 3, CHOSEN * int(draw.sizes.max()))
    for group in range(draw.groups):
        if draw.missing <= rest:
            break
        if draw.nearer(group) and draw.is_short_of(group) and draw.spared(group):
            draw.take(group)
    while (best := draw.least_disturbing()) is not None:
        draw.take(best)
    if not draw.drawn.any():
        draw.take(draw.only_one())
    return draw.drawn


class ClassCounts:
    """The number of samples of each class in each group, without the classes that a group does not have.

    Arguments:
        classes: class of each sample [n], numbered from 0.
        groups: group of each sample [n], numbered from 0.
    """

    def __init__(self, classes: Integers, groups: Integers) -> None:
        count = int(classes.max()) + 1
        pairs, self.counts = np.unique(groups * count + classes, return_counts=True)
        self.of_group, self.of_class = np.divmod(pairs, count)
        self.sizes = np.bincount(groups)
        self.groups = len(self.sizes)
        self.start = np.searchsorted(self.of_group, np.arange(self.groups + 1))

    def row(self, group: int) -> tuple[Integers, Integers]:
        """Return the classes in a group and the number of samples of each."""
        entries = slice(self.start[group], self.start[group + 1])
        return self.of_class[entries], self.counts[entries]


class GroupDraw(ClassCounts):
    """The groups drawn so far, and how far the samples in them are from the shares.

    Arguments:
        classes: class of each sample [n], numbered from 0.
        groups: group of each sample [n], numbered from 0.
        fraction: of the samples that are to be drawn.
        cut: the part that they are drawn for.
    """

    def __init__(self, classes: Integers, groups: Integers, fraction: float, cut: Cut) -> None:
        super().__init__(classes, groups)
        self.cut = cut
        self.left = np.bincount(classes)  # samples of each class that are not drawn
        self.short = self.left * fraction  # of each class's share; negative where it is exceeded
        self.missing = round(float(len(classes) * fraction))
        self.drawn = np.zeros(self.groups, dtype=bool)

    def nearer(self, group: int) -> bool:
        """Return whether a group brings the size nearer to what was asked for."""
        return bool(self.sizes[group] < 2 * self.missing)

    def is_short_of(self, group: int) -> bool:
        """Return whether the classes in a group, weighed by their samples in it, stay within their shares with it."""
        classes, counts = self.row(group)
        return bool((counts * (self.short[classes] - counts)).sum() >= 0)

    def spared(self, group: int) -> bool:
        """Return whether each class keeps samples for training without a group."""
        classes, counts = self.row(group)
        return bool((counts < self.left[classes]).all())

    def take(self, group: int) -> None:
        """Draw a group."""
        classes, counts = self.row(group)
        self.left[classes] -= counts
        self.short[classes] -= counts
        self.missing -= int(self.sizes[group])
        self.drawn[group] = True

    def candidates(self) -> NDArray[np.bool_]:
        """Return which groups are neither drawn nor needed for training → [G]."""
        needed = np.bincount(self.of_group, self.counts >= self.left[self.of_class], self.groups) > 0
        return ~self.drawn & ~needed

    def least_disturbing(self) -> int | None:
        """Return the group that brings the classes nearest to their shares; None if none brings the size nearer.

        Nearest by the sum of squares of the classes' distances: a group adds its counts times (counts − 2·short) to it.
        """
        fitting = self.candidates() & (self.sizes < 2 * self.missing)
        if not fitting.any():
            return None
        entries = self.counts * (self.counts - 2 * self.short[self.of_class])
        disturbance = np.bincount(self.of_group, entries, self.groups)
        return int(np.where(fitting, disturbance, np.inf).argmin())

    def only_one(self) -> int:
        """Return the smallest group, for a part of its own. Raises ConfigError if all are too large."""
        total, spared = int(self.sizes.sum()), self.candidates()
        size = int(self.sizes[spared].min(initial=total))
        if 2 * size > total:
            raise ConfigError(self.refusal(total, size))
        return int(np.flatnonzero(spared & (self.sizes == size))[0])

    def refusal(self, total: int, size: int) -> str:
        """Return why no group can be drawn, and the ways out."""
        reason = (
            f"the smallest that {self.cut.part} could take has {size} of {total} samples, too few were left to train on"
        )
        if self.groups == 1:
            reason = f"all {total} samples are of one, and nothing would be left to train on"
        elif size == total:
            reason = "each has a class that no other has, and training needs all classes"
        return (
            f"recordings and groups are not divided between training and {self.cut.part}, but {reason}: "
            f"{self.cut.undivided}"
        )
