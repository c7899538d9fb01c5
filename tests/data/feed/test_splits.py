import hashlib
import struct

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from membrane.data.feed.splits import split_digest, stratified
from membrane.errors import ConfigError

LABELS = st.lists(st.integers(-2, 6), min_size=8, max_size=200)
FRACTION = st.floats(0.05, 0.95)


@given(labels=LABELS, fraction=FRACTION, seed=st.integers(0, 2**40))
def test_a_stratified_partition(labels: list[int], fraction: float, seed: int) -> None:
    assume(max(map(labels.count, labels)) >= 2 and fraction * len(labels) >= 1)
    y = torch.tensor(labels)
    try:
        train, validation = stratified(y, fraction, seed)
    except ConfigError:  # only single samples, or shares below one everywhere, could be left
        assert all(labels.count(c) * fraction < 1 for c in set(labels) if labels.count(c) > 1)
        return
    assert train.dtype == validation.dtype == torch.int64
    assert sorted(train.tolist() + validation.tolist()) == list(range(len(labels)))
    for part in (train, validation):
        assert part.tolist() == sorted(part.tolist())
    assert len(validation) <= round(fraction * len(labels))
    for c in set(labels):
        assert abs(int((y[validation] == c).sum()) - fraction * labels.count(c)) <= 1 + 1e-9
        assert (y[train] == c).any()


@given(sizes=st.lists(st.integers(20, 60), min_size=1, max_size=8), fraction=st.floats(0.05, 0.9))
def test_the_whole_part_has_the_size_asked_for(sizes: list[int], fraction: float) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    _, validation = stratified(labels, fraction, 0)
    assert len(validation) == round(fraction * len(labels))


def test_nothing_but_the_arguments_counts() -> None:
    labels = torch.arange(300) % 7
    first = stratified(labels, 0.15, 3)
    torch.manual_seed(99)
    np.random.seed(99)
    again = stratified(labels, 0.15, 3)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[1], stratified(labels, 0.15, 4)[1])


def test_every_sample_is_as_likely() -> None:
    # 400 seeds, 3 of 20 samples of each class: 60 ± 7.1 expected for every sample; 5 standard deviations allowed.
    labels = torch.arange(40) % 2
    drawn = sum(stratified(labels, 0.15, seed)[1].bincount(minlength=40) for seed in range(400))
    assert isinstance(drawn, torch.Tensor)
    assert (abs(drawn - 60) < 5 * 7.2).all()


def test_the_split_of_seed_0_never_changes() -> None:
    train, validation = stratified(torch.arange(60) % 3, 0.15, 0)
    assert validation.tolist() == [3, 4, 5, 6, 10, 13, 23, 42, 53]
    assert split_digest(train, validation) == "0f425dbc93a48b882551f15901a5fb418903fc54245198059ce7a1aa0bd965ab"


def test_digest_is_the_hash_of_sizes_and_indices() -> None:
    train, validation = torch.tensor([0, 2, 300]), torch.tensor([1])
    text = b"3:" + struct.pack("<3q", 0, 2, 300) + b"1:" + struct.pack("<q", 1)
    assert split_digest(train, validation) == hashlib.sha256(text).hexdigest()
    assert split_digest(train, validation) != split_digest(validation, train)
    assert split_digest(torch.tensor([0, 2]), torch.tensor([300, 1])) != split_digest(train, validation)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 15.0, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        stratified(torch.zeros(10), fraction, 0)


@pytest.mark.parametrize("labels", [[], [0], [0, 1, 2]])
def test_an_empty_validation_part_is_refused(labels: list[int]) -> None:
    with pytest.raises(ConfigError, match=f"0.15 of {len(labels)} samples is empty"):
        stratified(torch.tensor(labels), 0.15, 0)


def test_soft_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one label a sample, \[n\], but got \[4, 2\]"):
        stratified(torch.zeros(4, 2), 0.5, 0)
