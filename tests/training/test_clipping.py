"""What an encoder clips of the training part is told in a line."""

import logging
import math

import pytest
import torch
from configurations import configured

from membrane.data.feed.part import Part
from membrane.data.samples import Samples
from membrane.learner import Learner
from membrane.training.assembly import build_learner
from membrane.training.clipping import rounded, warn_of_clipping

ENCODED = ("dataset=digits", "framework=multistep_tid", "encoder=rate", "model=smlp")


def learner(*changes: str) -> Learner:
    return build_learner(configured(*ENCODED, *changes))


def digits(values: torch.Tensor, scale: float = 1.0) -> Part:
    """A part of samples [1,8,8], of which each has one value."""
    x = values.reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    return Part.whole(Samples(x, torch.zeros(len(values), dtype=torch.int64), scale=scale))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_nothing_is_said_of_values_within_the_bounds(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_clipping(learner(), digits(torch.tensor([0.0, 0.3, 1.0])))
    warn_of_clipping(learner(), digits(torch.tensor([0, 255], dtype=torch.uint8), scale=1 / 255))
    warn_of_clipping(learner("encoder.bounds=[-3,3]"), digits(torch.tensor([-3.0, 3.0])))
    signal = Part.whole(Samples(torch.full((2, 9, 128), -5.0), torch.zeros(2, dtype=torch.int64)))
    warn_of_clipping(learner("encoder=delta", "dataset=uci_har"), signal)  # it has no bounds
    assert lines(caplog) == []


def test_values_outside_are_told_with_the_bounds_that_take_all(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_clipping(learner(), digits(torch.tensor([0.0, 0.5, 1.0, 1.2345, -0.501])))
    assert lines(caplog) == [
        (
            "encoder: 40.0 % of the training values lie outside encoder.bounds=[0,1] and are clipped: "
            "encoder.bounds=[-0.51,1.24] takes all"
        )
    ]


def test_a_value_in_a_thousand_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_clipping(learner(), digits(torch.cat([torch.zeros(2000), torch.tensor([2.0])])))
    assert lines(caplog)[0].startswith("encoder: less than 0.1 % of the training values lie outside")


def test_values_are_those_behind_the_augmentations_of_evaluation(caplog: pytest.LogCaptureFixture) -> None:
    normalised = learner("augmentation=[normalise]", "encoder.bounds=[-1,1.5]")
    part = digits(torch.tensor([0.0, 0.0, 0.0, 8.0]))
    normalised.augmentation.fit(part.valid_x(), part.scale)  # mean 2, std 2·√3
    warn_of_clipping(normalised, part)
    assert lines(caplog)[0].startswith("encoder: 25.0 % of the training values lie outside encoder.bounds=[-1,1.5]")
    assert lines(caplog)[0].endswith("encoder.bounds=[-1,1.74] takes all")  # (8 − 2)/(2·√3) = 1.732
    noisy = learner("augmentation=[noise]", "augmentation.noise.std=5")  # in training alone
    warn_of_clipping(noisy, digits(torch.tensor([0.0, 1.0])))
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(-0.123456, 1.0, ("-0.13", "1")), (0, 12345.6, ("0", "12400")), (0, 0.0123, ("0", "0.0123"))],
)
def test_suggested_bounds_are_rounded_outwards(low: float, high: float, shown: tuple[str, str]) -> None:
    assert (rounded(low, high, math.floor), rounded(high, low, math.ceil)) == shown
