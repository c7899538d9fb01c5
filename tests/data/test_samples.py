"""Samples at rest: their constructor and their digest."""

import pytest
import torch
from small_data import part

from membrane.data.feed.checking import Facts, check_parts
from membrane.data.samples import Samples, dataset_digest
from membrane.errors import DataError

X, Y, N = torch.rand(9, 1, 3), torch.arange(9) % 2, torch.arange(9)


def test_the_scale_may_still_stand_fourth() -> None:
    before = Samples(X, Y, N, 0.25)
    assert (before.scale, before.lengths) == (0.25, None)
    assert before.digest() == Samples(X, Y, N, scale=0.25).digest()
    assert Samples(X, Y, N, N + 1).lengths is not None


def test_one_number_for_all_lengths_is_refused_and_no_scale() -> None:
    wrong = Samples(X, Y, N, lengths=5)  # type: ignore[arg-type]
    assert wrong.scale == 1.0
    with pytest.raises(DataError, match=r"^training part: lengths is an int"):
        check_parts((wrong, wrong), Facts([1, 3], 2, "classification", None))


def test_the_digest_knows_lengths_and_groups_and_which_is_which() -> None:
    variants = [part(9, x=X), part(9, x=X, lengths=N), part(9, x=X, group=N), part(9, x=X, lengths=N, group=N)]
    assert len({each.digest() for each in variants}) == 4
    assert len({dataset_digest(each, each) for each in variants}) == 4
    taken = part(9, x=X, lengths=N, group=N * 2, classes=["a", "b"]).take(torch.tensor([4, 1]))
    assert taken.lengths is not None
    assert taken.group is not None
    assert (taken.lengths.tolist(), taken.group.tolist(), taken.classes) == ([4, 1], [8, 2], ["a", "b"])
