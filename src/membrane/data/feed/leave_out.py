"""The groups that are left out of training to be the test part: leave-one-group-out."""

from collections.abc import Sequence

import numpy as np
import torch

from membrane.data.feed.checking import PARTS
from membrane.data.feed.groups import indivisible
from membrane.data.feed.part import Part
from membrane.data.samples import Samples
from membrane.errors import ConfigError

LISTED = 20
"""Groups that a refusal lists, at most."""


def require_groups(loaded: Sequence[Samples], numbers: Sequence[int]) -> None:
    """Raise ConfigError unless each part of a data set has groups and the numbers are among them."""
    typed = typed_groups(numbers)
    for name, part in zip(PARTS[len(loaded)], loaded, strict=True):
        if part.group is None:
            raise ConfigError(
                f"{typed} leaves out a group, such as a subject or speaker, but the {name} part has none: "
                "dataset.fold=1/5 is for data without groups"
            )
    there = np.unique(torch.cat([part.group for part in loaded if part.group is not None]).numpy()).tolist()
    if missing := sorted(set(numbers) - set(there)):
        listed = ", ".join(map(str, there))
        if len(there) > LISTED:
            listed = f"{len(there)} groups from {there[0]} to {there[-1]}"
        raise ConfigError(f"{typed}: there is no group {missing[0]}; the data set has {listed}")


def leave_groups_out(whole: Part, numbers: Sequence[int], classification: bool) -> tuple[Part, Part]:
    """Return a data set in two: what is left of it, and the test part, which is the groups with these numbers.

    Raises ConfigError if nothing is left to train on, a recording would be divided, or training would miss a class.
    """
    typed = typed_groups(numbers)
    assert whole.group is not None
    test = torch.isin(whole.group, torch.tensor(list(numbers)))
    if test.all():
        raise ConfigError(f"{typed}: these are all groups of the data set, and nothing would be left to train on")
    together = indivisible(whole.recording, whole.group)
    if together is not None and (divided := torch.isin(together, together[test]) & ~test).any():
        both = sorted({*numbers, *whole.group[divided].tolist()})
        raise ConfigError(f"{typed} would divide recordings, which groups share: use {typed_groups(both)}")
    if classification:
        alone = np.setdiff1d(whole.y[test].numpy(), whole.y[~test].numpy())
        if alone.size:
            raise ConfigError(f"{typed}: class {alone[0]} is in no other group, and would be missing in training")
    return whole.take(torch.nonzero(~test).flatten()), whole.take(torch.nonzero(test).flatten())


def typed_groups(numbers: Sequence[int]) -> str:
    """Return the setting as it is typed: ``dataset.leave_out=3``, or a list of several."""
    listed = ",".join(map(str, numbers))
    return f"dataset.leave_out={listed if len(numbers) == 1 else f'[{listed}]'}"
