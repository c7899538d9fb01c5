"""A data set divided into training, validation and test parts: no recording and no group is on two sides."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from membrane.data.feed.folds import folds
from membrane.data.feed.groups import TESTS, VALIDATES, Cut, indivisible, shared_groups
from membrane.data.feed.leave_out import leave_groups_out, require_groups
from membrane.data.feed.part import Part
from membrane.data.feed.splits import split_digest, stratified
from membrane.data.feed.values import warnings_of_values
from membrane.data.samples import Samples
from membrane.errors import ConfigError

VALIDATION = 0.15
TEST_SHARE = 0.2
TEST_SEED = 20240229
"""Of the test part that is cut from the training part: no configuration changes it."""
FEW_SAMPLES = 50
"""Validation samples below which a warning tells that the best epoch is hardly known."""
LISTED_GROUPS = 100
"""Groups of a part whose numbers are recorded, at most."""


class Division:
    """The parts of a data set, each with the positions of its samples.

    Positions count through the training part and the official validation part; the test part is counted on its own,
    but through all three where groups are left out. ``split_hash`` is the hash of the positions.

    Arguments:
        loaded: (train, test), (train, validation, test) or (train,), checked and in the types of batches.
        protocol: ``val_best`` has a validation part, the others have none.
        task: samples are divided by class in ``classification``, at random in ``regression``.
        validation: share of the training data that validates, if there is no official part and no fold.
        split_seed: of everything that is drawn.
        fold: (k, n): the k-th of n folds validates, k from 1. The training data and the official validation part are
            dealt into the folds together. None: no folds. Only for ``val_best``.
        leave_out: numbers of the groups that are the test part. What ``loaded`` says of training, validation and test
            is given up then, and what validates is cut from the samples that are left. None: the official test part.
        test_share: share of the samples that is the test part, always the same, if the data set has no other.
        at_most: keep so many samples of the training part, which are also the validation part. None: all.
    """

    def __init__(
        self,
        loaded: Sequence[Samples],
        *,
        protocol: str,
        task: str,
        validation: float = VALIDATION,
        split_seed: int = 0,
        fold: tuple[int, int] | None = None,
        leave_out: Sequence[int] | None = None,
        test_share: float = TEST_SHARE,
        at_most: int | None = None,
    ) -> None:
        if fold is not None and (protocol != "val_best" or not 1 <= fold[0] <= fold[1] > 1):
            raise ValueError(f"fold {fold} under protocol={protocol}: must be (k, n), 1 ≤ k ≤ n > 1, under val_best")
        self.own_parts = len(loaded)
        self.classification = task == "classification"
        self.validation = validation
        self.split_seed = split_seed
        self.fold = fold
        self.leave_out = leave_out
        self.test_share = test_share
        self.at_most = at_most
        self.official = len(loaded) == 3 and fold is None and leave_out is None
        rest, test = self.training_and_test(loaded)
        train, val = rest, rest.take(torch.arange(0))
        if protocol == "val_best":
            first, every = len(loaded[0]), torch.arange(len(rest))
            train, val = map(rest.take, (every[:first], every[first:]) if self.official else self.cut(rest))
        if at_most is not None:
            train = val = train.take(torch.arange(min(at_most, len(train))))
        apart = [] if leave_out is None and len(loaded) > 1 else [test.index]
        self.split_hash = split_digest(train.index, val.index, *apart)
        self.parts = {"train": train, "val": val, "test": test}

    def training_and_test(self, loaded: Sequence[Samples]) -> tuple[Part, Part]:
        """Return the samples that train and validate, and those of the test part."""
        if self.leave_out is not None:
            require_groups(loaded, self.leave_out)
            return leave_groups_out(Part.whole(*loaded), self.leave_out, self.classification)
        if len(loaded) == 1:
            whole = Part.whole(*loaded)
            rest_index, test_index = self.share(whole, self.test_share, TEST_SEED, TESTS)
            return whole.take(rest_index), whole.take(test_index)
        rest = Part.whole(*loaded[:-1])
        if self.fold is not None and rest.group is None and any(part.group is not None for part in loaded[:-1]):
            raise ConfigError(
                "folds of training and validation part together would divide groups, which one of the two does not "
                "tell: leave dataset.fold out for the validation part as it is"
            )
        return rest, Part.whole(loaded[-1])

    def cut(self, rest: Part) -> tuple[Tensor, Tensor]:
        """Divide samples by fold or share → their positions (train, val); recordings and groups stay whole."""
        if self.fold is None:
            return self.share(rest, self.validation, self.split_seed, VALIDATES)
        number, count = self.fold
        validates = folds(self.strata(rest), count, self.split_seed, units(rest)) == number - 1
        return torch.nonzero(~validates).flatten(), torch.nonzero(validates).flatten()

    def share(self, part: Part, fraction: float, seed: int, cut: Cut) -> tuple[Tensor, Tensor]:
        """Take a fraction of a part → positions of the rest and of the fraction."""
        return stratified(self.strata(part), fraction, seed, units(part), cut)

    def strata(self, part: Part) -> Tensor:
        """Return the classes [n] that keep their shares; one for all in regression."""
        return part.y if self.classification else torch.zeros(len(part), dtype=torch.int64)

    def title(self) -> str:
        """Return what names the division in a line: the fold and the groups that are left out, if any."""
        fold = "" if self.fold is None else ", fold {}/{}".format(*self.fold)
        if self.leave_out is None:
            return fold
        numbers = ", ".join(map(str, self.leave_out))
        return f"{fold}, {'group' if len(self.leave_out) == 1 else 'groups'} {numbers} left out"

    def notes(self) -> Iterator[str]:
        """Yield a line for each part of the data set's own division that is given up."""
        if self.leave_out is not None:
            if self.own_parts > 1:
                own = "training, validation and test" if self.own_parts == 3 else "training and test"
                left_out = "the groups that are left out are the test part"
                yield f"the data set's own division into {own} is given up: {left_out}"
            return
        if self.own_parts == 1:
            yield f"the data set has no test part: {self.test_share:.0%} of its samples are one, always the same"
        if self.fold is not None and self.own_parts == 3:
            yield "the data set's own validation part is given up: the folds are of it and the training part together"

    def warnings(self) -> Iterator[str]:
        """Yield a line for each weakness of the division that a reader of the results should know of."""
        train, val, test = self.parts.values()
        if self.at_most is not None:
            return
        if 0 < len(val) < FEW_SAMPLES:
            larger = f"dataset.validation above {self.validation:g} takes a larger share, "
            ways = f"{'' if self.official else larger}sweep=folds validates on each sample once"
            yield (
                f"only {len(val)} validation samples choose the best epoch, largely by chance: "
                f"{ways if self.fold is None else 'fewer folds are larger'}, "
                "protocol=last trains on all and chooses none"
            )
        if len(val) and self.official and self.validation != VALIDATION:
            yield f"dataset.validation={self.validation:g} has no effect: the data set has a validation part of its own"
        if self.test_share != TEST_SHARE and (self.own_parts > 1 or self.leave_out is not None):
            other = "of its own" if self.leave_out is None else "of the groups that are left out"
            yield f"dataset.test_share={self.test_share:g} has no effect: the data set has a test part {other}"
        share, whole = self.validation if self.fold is None else 1 / self.fold[1], len(train) + len(val)
        if len(val) and not self.official and abs(len(val) - share * whole) > 1 + share * whole / 3:
            classes = ", and classes keep samples for training" if self.fold is None else ""
            yield (
                f"{len(val) / whole:.0%} of the training samples validate, not {share:.0%}: "
                f"recordings and groups are not divided{classes}"
            )
        if self.classification:
            yield from warnings_of_labels(train.y, val.y, test.y)
        yield from warnings_of_values(train, val, test)
        for name, part, others in (("validation", val, [train]), ("test", test, [train, val])):
            if shared := shared_groups(part, *others):
                unseen = "; dataset.leave_out=NUMBER tests on a group that is not" if name == "test" else ""
                yield f"{shared} of the {name} part's groups are in the data set's training part too{unseen}"

    def facts(self) -> dict[str, Any]:
        """Return for provenance.json what the parts are: fold, groups that are left out, numbers in each part."""
        parts = {name: part_facts(part) for name, part in self.parts.items() if len(part)}
        fold = None if self.fold is None else "{}/{}".format(*self.fold)
        return {"fold": fold, "leave_out": None if self.leave_out is None else list(self.leave_out), **parts}


def units(part: Part) -> Tensor | None:
    """Number the sets of samples that stay together [n]; None if each is on its own."""
    return indivisible(*(column for column in (part.recording, part.group) if column is not None))


def warnings_of_labels(train: Tensor, val: Tensor, test: Tensor) -> Iterator[str]:
    """Yield a line if the parts' labels y [n] do not begin at 0, and for each part with labels that training lacks."""
    if (least := int(torch.cat([train, val, test]).min())) > 0:
        yield f"the smallest label is {least}, and labels count from 0: class 0 has no sample"
    for name, y in (("validation", val), ("test", test)):
        if line := unlearned_classes_line(np.setdiff1d(y.numpy(), train.numpy()).tolist()):
            yield f"the {name} part has {line}"


def unlearned_classes_line(classes: Sequence[int]) -> str:
    """Return the end of a line on the classes that training does not have; empty if there are none."""
    if not classes:
        return ""
    first = f"class {classes[0]}"
    which = f"{first}," if len(classes) == 1 else f"{len(classes)} classes, the first of them {first},"
    return f"{which} of which training has no sample"


def part_facts(part: Part) -> dict[str, Any]:
    """Return the numbers of samples, recordings and groups in a part, and which groups if they are few."""
    facts: dict[str, Any] = {"samples": len(part), "recordings": len(np.unique(part.recording.numpy()))}
    if part.group is not None:
        numbers = np.unique(part.group.numpy()).tolist()
        facts["groups"] = len(numbers)
        if len(numbers) <= LISTED_GROUPS:
            facts["group_numbers"] = numbers
    return facts
