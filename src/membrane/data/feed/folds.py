"""Folds for cross-validation: each sample is in one of them, and validates once."""

import numpy as np
import torch
from torch import Tensor

from membrane.data.feed.groups import ClassCounts, Integers, in_order_of_key
from membrane.errors import ConfigError
from membrane.randomness import derive

TRIES = 100
"""Orders in which groups are dealt, at most."""


def folds(labels: Tensor, count: int, seed: int, groups: Tensor | None = None) -> Tensor:
    """Deal samples with labels [n] into ``count`` stratified folds → the fold of each sample [n], from 0.

    Sizes of folds, and the samples of a class in them, differ by one at most. Samples of the same number in ``groups``
    [n] are in one fold: sizes and shares are then as near as whole groups come (`deal_groups`). The result depends on
    the arguments alone, see `stratified`. Raises ConfigError if there are fewer samples or groups than folds, or if
    training without one of the folds would miss a class.
    """
    names, classes = np.unique(labels.cpu().numpy(), return_inverse=True)
    keys = np.random.PCG64(derive(seed, "split")).random_raw(len(labels))
    grouped = groups is not None
    numbers = np.arange(len(labels)) if groups is None else in_order_of_key(groups.cpu().numpy(), keys)
    require_enough(count, numbers, grouped)
    require_spread_classes(names, classes, numbers, grouped)
    if grouped:
        return torch.from_numpy(deal_groups(classes, numbers, count)[numbers])
    fold = np.empty(len(classes), dtype=np.int64)
    fold[np.lexsort((keys, classes))] = np.arange(len(classes)) % count
    return torch.from_numpy(fold)


def require_enough(count: int, numbers: Integers, grouped: bool) -> None:
    """Raise ConfigError if there are fewer units, numbered from 0 in [n], than folds."""
    units = int(numbers.max(initial=-1)) + 1
    if units < count:
        what = "recordings or groups, which are not divided" if grouped else "samples"
        raise ConfigError(
            f"{count} folds need {count} {what}, the training data has {units}: "
            + (f"use dataset.fold=1/{units} and so on" if units > 1 else "use protocol=last")
        )


def require_spread_classes(names: Integers, classes: Integers, numbers: Integers, grouped: bool) -> None:
    """Raise ConfigError if all samples of a class are in one unit, on which one of the folds would validate."""
    first = np.full(len(names), len(classes))
    last = np.full(len(names), -1)
    np.minimum.at(first, classes, numbers)
    np.maximum.at(last, classes, numbers)
    if (alone := np.flatnonzero(first == last)).size:
        one = "is in one recording or group only" if grouped else "has one sample only"
        raise ConfigError(
            f"class {names[alone[0]]} {one}, and would be missing in training while its fold validates: "
            "use dataset.validation, which leaves every class in training, or protocol=last"
        )


def deal_groups(classes: Integers, groups: Integers, count: int) -> Integers:
    """Deal whole groups into folds → [G]; classes and groups [n] are numbered from 0, groups in random order.

    The largest are dealt first (`deal_in_order`). No class goes into one fold as a whole: where the groups before leave
    no such fold to one, all are dealt anew, that one first. Raises ConfigError if `TRIES` of that do not suffice.
    """
    table = ClassCounts(classes, groups)
    order: Integers = np.argsort(-table.sizes, kind="stable")
    for _ in range(TRIES):
        fold = deal_in_order(table, order, count)
        stuck = int(fold.argmin())
        if fold[stuck] >= 0:
            return fold
        order = np.concatenate([[stuck], order[order != stuck]])
    raise ConfigError(
        f"{count} folds of whole recordings and groups would leave training without a class: use another number of "
        "folds, or dataset.validation, which leaves every class in training"
    )


def deal_in_order(table: ClassCounts, order: Integers, count: int) -> Integers:
    """Deal groups in an order into folds → [G]; the first that no fold can take is in fold −1, and ends it.

    Each goes to the fold that has least of its classes and of all samples: where it adds least to the sum of squares of
    the folds' shares. So no fold stays empty.
    """
    total, samples = np.bincount(table.of_class, table.counts), table.sizes.sum()
    dealt, sizes = np.zeros((count, len(total))), np.zeros(count)
    fold = np.full(table.groups, count)
    for group in order:
        held, counts = table.row(group)
        whole = (dealt[:, held] + counts == total[held]).any(axis=1)
        if whole.all():
            fold[group] = -1
            break
        cost = dealt[:, held] @ (counts / total[held]) + sizes * (table.sizes[group] / samples)
        best = int(np.where(whole, np.inf, cost).argmin())
        dealt[best, held] += counts
        sizes[best] += table.sizes[group]
        fold[group] = best
    return fold
