"""Samples in two parts, and parts in other units: told in a line each, by comparison with loops over sets."""

import pytest
import torch
from small_data import part

from membrane.data.feed import values
from membrane.data.feed.division import Division
from membrane.data.feed.part import Part
from membrane.data.feed.values import warnings_of_values
from membrane.data.samples import Samples

FORM = {"protocol": "last", "task": "classification"}


def of(x: torch.Tensor, lengths: torch.Tensor | None = None) -> Part:
    """Return the part of all samples x [n,…]."""
    return Part.whole(Samples(x, torch.zeros(len(x), dtype=torch.long), lengths=lengths))


def lines(train: Part, test: Part, val: Part | None = None) -> list[str]:
    """Return the warnings of parts, without a validation part unless there is one."""
    return list(warnings_of_values(train, train.take(torch.arange(0)) if val is None else val, test))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bool, torch.bfloat16])
def test_samples_of_two_parts_are_counted(dtype: torch.dtype) -> None:
    train, test = (torch.randint(2, (n, 1, 6), generator=torch.Generator().manual_seed(n)).to(dtype) for n in (30, 20))
    learned = {tuple(each.flatten().tolist()) for each in train}
    count = sum(tuple(each.flatten().tolist()) in learned for each in test)
    assert 0 < count < 20
    [line] = lines(of(train), of(test))
    assert line == f"{count} of the test part's 20 samples are in the data set's training part too, value for value"


def test_samples_that_validate_count_as_training_data_for_the_test_part() -> None:
    x = torch.rand(9, 1, 4)
    assert lines(of(x[:3]), of(x[5:]), of(x[3:6])) == [
        "1 of the test part's 4 samples are in the data set's training part too, value for value"
    ]
    assert [line.split(" samples")[0] for line in lines(of(x[:3]), of(x[7:]), of(x[2:4]))] == [
        "1 of the validation part's 2"
    ]


def test_padding_is_not_compared() -> None:
    x, lengths = torch.rand(4, 3, 1, 2), torch.tensor([2, 3, 1, 2])
    junk = x.clone()
    junk[0, 2:], junk[2, 1:], junk[3, 2:] = 1e6, -1e6, 1e6
    assert lines(of(x, lengths), of(junk, lengths))[0].startswith("4 of the test part's 4 samples")
    assert len(lines(of(x, lengths), of(junk, lengths))) == 1  # and its values are of no other size


def test_values_in_other_units_are_told() -> None:
    train, test = 255 * torch.rand(50, 1, 8, 8), torch.rand(40, 1, 8, 8)
    train[0, 0, 0, 0], test[0, 0, 0, 0] = 255, -1
    [line] = lines(of(train), of(test))
    assert line == "x of the test part has values up to 1, in the training part up to 255: are both in the same unit?"
    assert not lines(of(train), of(test * 6))
    assert not lines(of(train), of(test * 0 - 0.0))


def test_32_mib_are_looked_at_and_no_more() -> None:
    half = torch.zeros(1, 1, 2**24 + 1, dtype=torch.uint8)
    assert len(lines(of(half[..., 1:]), of(half[..., 1:]))) == 1
    assert not lines(of(half), of(half))


def test_values_are_told_as_the_network_gets_them() -> None:
    x, labels = torch.tensor([[[1.0, -200.0]], [[3.0, 4.0]]]), torch.tensor([0, 1])
    train, test = (Part.whole(Samples(each, labels, scale=0.25)) for each in (x, x / 64))
    [line] = lines(train, test)
    assert line.startswith("x of the test part has values up to 0.781, in the training part up to 50:")


def test_large_data_are_left_alone_and_a_division_tells(monkeypatch) -> None:
    samples = part(60)
    monkeypatch.setattr(values, "LOOKED_AT", 2 * samples.x.nbytes)
    assert any("value for value" in line for line in Division([samples, samples], **FORM).warnings())
    monkeypatch.setattr(values, "LOOKED_AT", 2 * samples.x.nbytes - 1)
    assert not any("value for value" in line for line in Division([samples, samples], **FORM).warnings())
