"""Samples at rest: their constructor and their digest."""

import hashlib

import numpy as np
import pytest
import torch
from small_data import part

from membrane.data.feed.checking import Facts, check_parts
from membrane.data.samples import Samples, as_tensor, dataset_digest
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


def test_the_digest_is_of_types_shapes_bytes_and_scale_however_columns_lie_in_memory() -> None:
    x, number = torch.rand(9, 3, 200_000)[:, ::2].transpose(1, 2), torch.arange(18)[::2]  # in pieces, and with gaps
    sha = hashlib.sha256(b"float32(9, 200000, 2)" + x.numpy().tobytes())
    for column in (number % 2, number):
        sha.update(b"int64(9,)" + column.numpy().tobytes())
    sha.update(b"groupint64(9,)" + number.numpy().tobytes() + b"0.5")
    assert Samples(x, number % 2, number, group=number, scale=0.5).digest() == sha.hexdigest()


def test_a_type_that_torch_does_not_have_stays_as_it_is() -> None:
    values = np.zeros((2, 1, 3), np.longdouble)
    assert as_tensor(values) is values


def test_all_columns_move_to_a_device() -> None:
    samples = part(9, x=X, lengths=N, group=N * 2).to(torch.device("meta"))
    columns = (samples.x, samples.y, samples.recording, samples.lengths, samples.group)
    assert {str(column.device) for column in columns if column is not None} == {"meta"}
    assert samples.x.shape == X.shape
