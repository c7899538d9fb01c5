"""Prefixes, margins and early exit against a loop over samples, written down by hand."""

import math

import pytest
import torch

from membrane.analysis.anytime import (
    LEVELS,
    ExitPoint,
    cheapest_exit,
    confidences,
    exit_curve,
    exit_point,
    exit_times,
    margins,
    prefix_predictions,
)
from membrane.readout import FirstSpike, Last, Max, Mean, Membrane, Readout, Sum

STEPS, SAMPLES, CLASSES = 5, 40, 3


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(STEPS, SAMPLES, CLASSES, generator=torch.Generator().manual_seed(1)).mul(2)


@pytest.fixture
def lengths() -> torch.Tensor:
    return 1 + torch.arange(SAMPLES) % STEPS


@pytest.fixture
def y() -> torch.Tensor:
    return torch.randint(CLASSES, (SAMPLES,), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("readout", [Mean(), Sum(), Max(), Last(), Membrane(), FirstSpike()])
def test_a_prefix_is_read_out_as_if_the_rest_had_never_been(readout: Readout, outputs: torch.Tensor) -> None:
    lengths = 1 + torch.arange(SAMPLES) % STEPS
    for valid in (None, lengths):
        predictions = prefix_predictions(readout, outputs, valid)
        for sample in range(SAMPLES):
            end = STEPS if valid is None else int(valid[sample])
            for steps in range(1, STEPS + 1):
                alone = readout(outputs[: min(steps, end), sample : sample + 1])
                assert isinstance(alone, torch.Tensor)
                torch.testing.assert_close(predictions[steps - 1, sample], alone[0])


def by_hand(predictions: torch.Tensor, y: torch.Tensor, threshold: float | None, lengths: list[int]) -> ExitPoint:
    passes, right = [], []
    for sample, label in enumerate(y.tolist()):
        for steps in range(1, lengths[sample] + 1):
            scores = predictions[steps - 1, sample].tolist()
            total = sum(math.exp(score) for score in scores)
            second, first = sorted(math.exp(score) / total for score in scores)[-2:]
            if steps == lengths[sample] or (threshold is not None and first - second >= threshold):
                passes.append(steps)
                right.append(scores.index(max(scores)) == label)
                break
    return ExitPoint(threshold, sum(passes) / len(y), sum(right) / len(y))


@pytest.mark.parametrize("threshold", [0.0, 0.31, 0.77, 1.5, None])
def test_early_exit_is_that_of_a_loop_over_samples(
    threshold: float | None, outputs: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor
) -> None:
    for valid in (None, lengths):
        predictions = prefix_predictions(Mean(), outputs, valid)
        expected = by_hand(predictions, y, threshold, [STEPS] * SAMPLES if valid is None else valid.tolist())
        point = exit_point(predictions, y, threshold, valid)
        assert point.threshold == threshold
        assert (point.passes, point.acc) == pytest.approx((expected.passes, expected.acc), abs=1e-12)


def test_margins_of_two_classes_are_the_difference_of_their_confidences() -> None:
    predictions = torch.tensor([[[0.0, math.log(3)]], [[math.log(9), 0.0]]])
    assert confidences(predictions)[:, 0, 1].tolist() == pytest.approx([0.75, 0.1])
    assert margins(predictions).flatten().tolist() == pytest.approx([0.5, 0.8])
    assert exit_times(margins(predictions), 0.6).tolist() == [2]
    assert exit_times(margins(predictions), 0.6, torch.tensor([1])).tolist() == [1]


def test_the_curve_rises_from_one_pass_to_all_of_them(outputs: torch.Tensor, y: torch.Tensor) -> None:
    curve = exit_curve(prefix_predictions(Mean(), outputs), y)
    assert len(curve) == LEVELS + 1
    assert curve[0].passes == 1
    assert (curve[-1].threshold, curve[-1].passes) == (None, STEPS)
    assert [point.passes for point in curve] == sorted(point.passes for point in curve)


def test_the_cheapest_exit_loses_nothing() -> None:
    curve = [ExitPoint(0.1, 1.0, 0.7), ExitPoint(0.5, 2.0, 0.9), ExitPoint(0.9, 3.0, 0.95), ExitPoint(None, 4.0, 0.9)]
    assert cheapest_exit(curve) == curve[1]
    assert cheapest_exit([curve[0], curve[-1]]) == curve[-1]
