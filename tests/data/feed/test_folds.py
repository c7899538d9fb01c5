"""Folds: each sample is in one of them, no recording or group in two, and training without one keeps all classes."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from membrane.data.feed.folds import folds
from membrane.errors import ConfigError

SEED = st.integers(0, 2**40)


@given(labels=st.lists(st.integers(-2, 4), min_size=2, max_size=120), count=st.integers(2, 9), seed=SEED)
def test_folds_of_single_samples_are_as_large_and_as_mixed_as_can_be(labels: list[int], count: int, seed: int) -> None:
    y = torch.tensor(labels)
    if len(labels) < count or any(labels.count(label) == 1 for label in labels):
        with pytest.raises(ConfigError, match="fold"):
            folds(y, count, seed)
        return
    fold = folds(y, count, seed)
    sizes = [int((fold == k).sum()) for k in range(count)]
    assert sum(sizes) == len(labels)
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels):
        shares = [int((y[fold == k] == label).sum()) for k in range(count)]
        assert max(shares) - min(shares) <= 1


def can_be_dealt(held: list[set[int]], count: int) -> bool:
    """Return whether groups that hold these classes fit into folds, none empty, each class in two: by trying all."""
    classes = set().union(*held)
    return any(
        set(fold) == set(range(count))
        and all(set().union(*(h for h, f in zip(held, fold, strict=True) if f != k)) == classes for k in range(count))
        for fold in itertools.product(range(count), repeat=len(held))
    )


@given(
    groups=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=2, max_size=6),
    count=st.integers(2, 3),
    seed=SEED,
)
@settings(max_examples=200)
def test_whole_groups_are_dealt_wherever_that_is_possible(groups: list[list[int]], count: int, seed: int) -> None:
    y = torch.tensor([label for labels in groups for label in labels])
    group = torch.tensor([7 * k - 9 for k, labels in enumerate(groups) for _ in labels])
    if not can_be_dealt([set(labels) for labels in groups], count):
        with pytest.raises(ConfigError, match="fold"):
            folds(y, count, seed, group)
        return
    fold = folds(y, count, seed, group)
    assert set(fold.tolist()) == set(range(count))
    for k in range(count):
        assert set(group[fold == k].tolist()).isdisjoint(group[fold != k].tolist())
        assert set(y[fold != k].tolist()) == set(y.tolist())


def test_whole_groups_come_nearer_to_their_shares_than_with_scikit_learn() -> None:
    def distance(labels: np.ndarray, fold: np.ndarray) -> tuple[float, float]:
        """By how many samples a fold's classes are off their shares, and how far sizes spread, both relative."""
        table = np.array([np.bincount(labels[fold == k], minlength=5) for k in range(5)])
        return abs(table - np.bincount(labels) / 5).sum() / len(labels), table.sum(1).std() * 5 / len(labels)

    chance, ours, theirs = np.random.default_rng(0), list[tuple[float, float]](), list[tuple[float, float]]()
    for trial in range(8):
        groups = np.repeat(np.arange(60), chance.integers(1, 8, 60))
        labels, fold = chance.integers(5, size=len(groups)), np.empty(len(groups), dtype=int)
        ours.append(distance(labels, folds(torch.from_numpy(labels), 5, trial, torch.from_numpy(groups)).numpy()))
        splits = StratifiedGroupKFold(5, shuffle=True, random_state=trial).split(labels, labels, groups)
        for k, (_, validation) in enumerate(splits):
            fold[validation] = k
        theirs.append(distance(labels, fold))
    assert (np.mean(ours, axis=0) < np.mean(theirs, axis=0)).all()


def test_only_who_belongs_together_counts_not_the_numbers() -> None:
    labels, groups = torch.arange(90) % 3, torch.arange(90) // 4
    renamed = torch.randperm(200)[groups] - 60
    assert torch.equal(folds(labels, 4, 1, groups), folds(labels, 4, 1, renamed))
    assert not torch.equal(folds(labels, 4, 1, groups), folds(labels, 4, 2, groups))
    assert not torch.equal(folds(labels, 4, 1), folds(labels, 4, 2))


def test_the_folds_of_seed_0_never_change() -> None:
    labels = torch.arange(15) % 2
    assert folds(labels, 3, 0).tolist() == [2, 1, 1, 2, 2, 0, 1, 0, 0, 2, 0, 2, 0, 1, 1]
    assert folds(labels, 3, 0, torch.arange(15) // 2).tolist() == [1, 1, 0, 0, 2, 2, 1, 1, 0, 0, 0, 0, 2, 2, 1]


@pytest.mark.parametrize(
    ("labels", "groups", "count", "reason"),
    [
        ([0, 0, 0], None, 4, "4 folds need 4 samples, the training data has 3: use dataset.fold=1/3 and so on"),
        ([0] * 6, [5] * 6, 2, "2 folds need 2 recordings or groups, which are not divided, the training data has 1"),
        ([0] * 6, [5, 5, 5, 7, 7, 7], 3, "the training data has 2: use dataset.fold=1/2 and so on"),
        (
            [4, 4, 4, 9],
            None,
            2,
            "class 9 has one sample only, and would be missing in training while its fold validates",
        ),
        ([0, 0, 0, 0, 3, 3], [1, 2, 3, 3, 3, 3], 3, "class 3 is in one recording or group only, and would be missing"),
        # three groups, of which each two share a class: one of two folds has two of them
        (
            [0, 1, 1, 2, 2, 0],
            [1, 1, 2, 2, 3, 3],
            2,
            "2 folds of whole recordings and groups would leave training without",
        ),
    ],
)
def test_what_cannot_be_dealt_is_refused(labels: list[int], groups: list[int] | None, count: int, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        folds(torch.tensor(labels), count, 0, None if groups is None else torch.tensor(groups))
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
