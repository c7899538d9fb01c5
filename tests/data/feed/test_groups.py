"""Recordings and groups are not divided, whatever they are; the split is near its size and its shares all the same."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from membrane.data.feed.groups import indivisible
from membrane.data.feed.splits import stratified
from membrane.errors import ConfigError

FRACTION = st.floats(0.05, 0.6)
SEED = st.integers(0, 2**40)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels [n] and groups [n]: some groups of one class, some of all, some of a single sample, some of nearly all."""
    n = draw(st.integers(8, 120))
    classes, groups = draw(st.integers(1, 6)), draw(st.integers(1, 40))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    group = chance.integers(groups, size=n) ** 2 // draw(st.sampled_from([1, 1, 5, 30]))
    pure = draw(st.booleans())
    labels = (group * 7 if pure else chance.integers(classes, size=n)) % classes
    return torch.from_numpy(labels - 1), torch.from_numpy(group * 3 - 50)


@given(data=grouped(), fraction=FRACTION, seed=SEED)
@settings(max_examples=300, deadline=None)
def test_no_group_is_on_both_sides_and_no_other_would_bring_the_size_nearer(
    data: tuple[torch.Tensor, torch.Tensor], fraction: float, seed: int
) -> None:
    labels, groups = data
    n, wanted = len(labels), round(fraction * len(labels))
    sizes = {g: int((groups == g).sum()) for g in groups.tolist()}
    assume(len(sizes) < n)  # else no groups are drawn, but samples: see the test that those splits are equal

    def spared(g: int, train: torch.Tensor) -> bool:
        """Training keeps each class of the group when it goes."""
        left = labels[train][groups[train] != g]
        return set(labels[groups == g].tolist()) <= set(left.tolist())

    possible = [size for g, size in sizes.items() if spared(g, torch.arange(n))]
    if wanted == 0 or not any(size < 2 * wanted or 2 * size <= n for size in possible):
        with pytest.raises(ConfigError):
            stratified(labels, fraction, seed, groups)
        return
    train, validation = stratified(labels, fraction, seed, groups)
    assert sorted(train.tolist() + validation.tolist()) == list(range(n))
    assert train.tolist() == sorted(train.tolist())
    assert validation.tolist() == sorted(validation.tolist())
    assert len(validation) > 0
    drawn = set(groups[validation].tolist())
    assert drawn.isdisjoint(groups[train].tolist())
    assert set(labels[train].tolist()) == set(labels.tolist())
    missing = wanted - len(validation)
    if missing >= 0:
        assert not [g for g, size in sizes.items() if g not in drawn and size < 2 * missing and spared(g, train)]
    else:
        largest = max(sizes[g] for g in drawn)
        assert -missing < largest / 2 or (len(drawn) == 1 and 2 * largest <= n)


@given(data=grouped(), seed=SEED)
@settings(deadline=None)
def test_only_who_belongs_together_counts_not_the_numbers(data: tuple[torch.Tensor, torch.Tensor], seed: int) -> None:
    labels, groups = data
    renamed = torch.tensor([hash((seed, g)) % 10**9 for g in groups.tolist()])
    try:
        train, validation = stratified(labels, 0.15, seed, groups)
    except ConfigError:
        with pytest.raises(ConfigError):
            stratified(labels, 0.15, seed, renamed)
        return
    again = stratified(labels, 0.15, seed, renamed)
    assert torch.equal(again[0], train)
    assert torch.equal(again[1], validation)


@given(n=st.integers(10, 200), classes=st.integers(1, 5), seed=SEED)
@settings(deadline=None)
def test_where_every_sample_is_its_own_group_the_split_is_that_without_groups(n: int, classes: int, seed: int) -> None:
    labels, own = torch.arange(n) % classes, torch.randperm(n) * 5 - n
    for one, other in zip(stratified(labels, 0.15, seed), stratified(labels, 0.15, seed, own), strict=True):
        assert torch.equal(one, other)


@given(
    sizes=st.lists(st.integers(20, 40), min_size=1, max_size=6),
    size=st.integers(2, 5),
    fraction=st.floats(0.1, 0.5),
    seed=SEED,
)
@example(sizes=[35, 35, 37], size=2, fraction=0.2578125, seed=217775)
@settings(deadline=None)
def test_recordings_of_one_class_and_size_keep_each_class_within_one_recording_of_its_share(
    sizes: list[int], size: int, fraction: float, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes) * size)
    recordings = torch.arange(len(labels)) // size
    _, validation = stratified(labels, fraction, seed, recordings)
    assert abs(len(validation) - fraction * len(labels)) <= size / 2 + 0.5
    for label, count in enumerate(sizes):
        assert abs(int((labels[validation] == label).sum()) - fraction * count * size) <= size


def distance(labels: np.ndarray, validation: np.ndarray, fraction: float) -> float:
    """By how many samples the classes of a validation part are off their shares, relative to all samples."""
    counts = np.bincount(labels)
    shares = np.bincount(labels[validation], minlength=len(counts))
    return float(abs(shares - fraction * counts).sum() / len(labels))


def test_classes_are_about_as_near_to_their_shares_as_with_scikit_learn() -> None:
    chance, ours, theirs = np.random.default_rng(0), list[float](), list[float]()
    for trial in range(12):
        groups = np.repeat(np.arange(100), chance.integers(1, 8, 100))
        labels = chance.integers(5, size=len(groups))
        _, validation = stratified(torch.from_numpy(labels), 1 / 7, trial, torch.from_numpy(groups))
        ours.append(distance(labels, validation.numpy(), 1 / 7))
        folds = StratifiedGroupKFold(7, shuffle=True, random_state=trial).split(labels, labels, groups)
        theirs += [distance(labels, fold, 1 / 7) for _, fold in folds]
    assert np.mean(ours) < 1.5 * np.mean(theirs)


def test_every_group_is_about_as_likely_small_or_large() -> None:
    # 400 seeds, a share of 0.15: 60 ± 7.1 expected for each of 60 groups; 5 standard deviations allowed
    sizes = torch.tensor([3, 9]).repeat(30)
    groups = torch.repeat_interleave(torch.arange(60), sizes)
    labels = groups // 2 % 3
    drawn = torch.zeros(60)
    for seed in range(400):
        drawn[groups[stratified(labels, 0.15, seed, groups)[1]].unique()] += 1
    assert (abs(drawn - 60) < 5 * 7.2).all()
    assert abs(drawn[::2].mean() - drawn[1::2].mean()) < 12


def test_a_class_of_one_sample_or_one_recording_stays_in_training() -> None:
    labels = torch.tensor([0] * 40 + [1] * 9 + [2])
    recordings = torch.cat([torch.arange(20).repeat_interleave(2), torch.full((9,), 50), torch.tensor([99])])
    for seed in range(20):
        train, validation = stratified(labels, 0.3, seed, recordings)
        assert set(labels[train].tolist()) == {0, 1, 2}
        assert set(labels[validation].tolist()) == {0}
        assert len(validation) in (14, 16)


@pytest.mark.parametrize(
    ("labels", "groups", "reason"),
    [
        ([0, 1] * 20, [7] * 40, "all 40 samples are of one, and nothing would be left to train on: use protocol=last"),
        ([0] * 20 + [1] * 20, [0] * 20 + [1] * 20, "each has a class that no other has, and training needs all"),
        ([0] * 40 + [1], [0] * 40 + [1], "each has a class that no other has"),
        ([0] * 60 + [0] * 5 + [1] * 35, [0] * 60 + [1] * 40, "the smallest that validation could take has 60 of 100"),
    ],
)
def test_what_cannot_be_divided_is_refused(labels: list[int], groups: list[int], reason: str) -> None:
    with pytest.raises(ConfigError, match="recordings and groups are not divided between training and validation") as e:
        stratified(torch.tensor(labels), 0.15, 0, torch.tensor(groups))
    assert reason in str(e.value)
    assert "\n" not in str(e.value)


def test_two_subjects_are_one_to_train_on_and_one_to_validate() -> None:
    train, validation = stratified(torch.arange(40) % 2, 0.15, 0, torch.arange(40) // 20)
    assert {len(train), len(validation)} == {20}


@given(
    n=st.integers(1, 60),
    recordings=st.integers(1, 60),
    groups=st.integers(1, 20),
    chance=st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_samples_are_indivisible_that_a_chain_of_recordings_and_groups_connects(
    n: int, recordings: int, groups: int, chance
) -> None:
    recording = torch.tensor([chance.randrange(recordings) for _ in range(n)]) * 4 - 9
    group = torch.tensor([chance.randrange(groups) for _ in range(n)])
    together = indivisible(recording, group)
    edges = (recording[:, None] == recording) | (group[:, None] == group)
    count, expected = connected_components(coo_array(edges.numpy()))
    if count == n:
        assert together is None
        return
    assert together is not None
    np.testing.assert_array_equal(together[:, None] == together, expected[:, None] == expected)


def test_distinct_recordings_are_no_reason_to_divide_otherwise() -> None:
    assert indivisible(torch.tensor([5, 3, 9])) is None
    assert indivisible(torch.tensor([5, 3, 9]), torch.tensor([1, 2, 3])) is None
    together = indivisible(torch.tensor([5, 3, 9]), torch.tensor([1, 2, 1]))
    assert together is not None
    assert together[0] == together[2] != together[1]
