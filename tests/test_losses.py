"""Losses against their formulas, written out."""

import math

import pytest
import torch

from membrane.data.batch import Batch
from membrane.losses import MSE, CrossEntropy
from membrane.readout import Last, Mean, Sum


def batch(y: torch.Tensor, lengths: torch.Tensor | None = None) -> Batch:
    n = len(y)
    return Batch(torch.zeros(n, 1), y, lengths, torch.arange(n), torch.arange(n))


OUTPUTS = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 0.0]]])  # [T=2, N=2, K=2]


def test_cross_entropy_of_the_mean_readout() -> None:
    # means [2,0] and [0,1]; labels 0 and 0
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    assert CrossEntropy(Mean())(OUTPUTS, batch(torch.tensor([0, 0]))).item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_with_label_smoothing() -> None:
    logits = torch.tensor([[[2.0, -1.0]]])
    log_p = [2 - math.log(math.exp(2) + math.exp(-1)), -1 - math.log(math.exp(2) + math.exp(-1))]
    expected = -(0.9 * log_p[0] + 0.1 * (log_p[0] + log_p[1]) / 2)
    found = CrossEntropy(Mean(), label_smoothing=0.1)(logits, batch(torch.tensor([0])))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_soft_labels_weigh_the_classes() -> None:
    soft = torch.tensor([[0.25, 0.75]])
    logits = torch.tensor([[[1.0, 3.0]]])
    expected = 0.25 * math.log(1 + math.exp(2)) + 0.75 * math.log(1 + math.exp(-2))
    assert CrossEntropy(Mean())(logits, batch(soft)).item() == pytest.approx(expected, rel=1e-6)
    assert MSE(Mean())(logits, batch(soft)).item() == pytest.approx((0.75**2 + 2.25**2) / 2)


def test_mse_on_the_rate() -> None:
    # rates [2,0] and [0,1] against one-hot [1,0] and [0,1]
    assert MSE(Mean())(OUTPUTS, batch(torch.tensor([0, 1]))).item() == pytest.approx(1 / 4)


def test_the_readout_is_the_one_that_was_given_and_knows_the_lengths() -> None:
    y = torch.tensor([0, 1])
    assert MSE(Sum())(OUTPUTS, batch(y)).item() == pytest.approx((9 + 0 + 0 + 1) / 4)
    lengths = torch.tensor([1, 2])
    # sample 0 has only the first timestep: rate [1,0], an exact hit; sample 1 has rate [0,1]
    assert MSE(Mean())(OUTPUTS, batch(y, lengths)).item() == 0


def test_with_the_last_readout_the_gradient_is_that_of_the_last_output_alone() -> None:
    outputs = OUTPUTS.clone().requires_grad_()
    CrossEntropy(Last())(outputs, batch(torch.tensor([1, 0]))).backward()
    assert outputs.grad is not None
    assert torch.count_nonzero(outputs.grad[0]) == 0
    probabilities = torch.softmax(OUTPUTS[1], 1)
    expected = (probabilities - torch.tensor([[0.0, 1.0], [1.0, 0.0]])) / 2
    torch.testing.assert_close(outputs.grad[1], expected)


def test_several_outputs_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="several: spikes, rate"):
        CrossEntropy(Mean())({"spikes": OUTPUTS, "rate": OUTPUTS}, batch(torch.tensor([0, 1])))


def test_mse_of_targets_is_in_their_precision() -> None:
    targets = torch.tensor([[1.001], [0.0]])  # in bfloat16 the first is 1
    outputs = torch.tensor([[[0.0], [1.0]], [[2.0], [1.0]]])
    assert MSE(Mean())(outputs, batch(targets)).item() == pytest.approx((0.001**2 + 1) / 2)
    assert MSE(Mean())(outputs.bfloat16()[:, :1], batch(targets[:1])).item() == pytest.approx(1e-6, rel=1e-3)
