"""Losses against their formulas, written out."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from configurations import configured
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from membrane.data.feed.batch import Batch
from membrane.losses import MSE, TET, CrossEntropy, OfPrediction, SpikeCount, takes_prediction
from membrane.readout import Last, Mean, Sum
from membrane.training.assembly import build_loss


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


def tet_in_numpy(
    outputs: np.ndarray, y: np.ndarray, lengths: list[int], lamb: float, phi: float
) -> tuple[float, np.ndarray]:
    """TET of outputs [T,N,K] and soft y [N,K], and its gradient: softmax − y, and 2·(o − φ)/K, at each valid step."""
    samples, classes = y.shape
    loss, gradient = 0.0, np.zeros_like(outputs)
    for n in range(samples):
        for t in range(lengths[n]):
            o, share = outputs[t, n], 1 / (samples * lengths[n])
            p = np.exp(o) / np.exp(o).sum()
            loss += share * ((1 - lamb) * -(y[n] * np.log(p)).sum() + lamb * ((o - phi) ** 2).mean())
            gradient[t, n] = share * ((1 - lamb) * (p - y[n]) + lamb * 2 * (o - phi) / classes)
    return loss, gradient


@settings(max_examples=30)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 4)),
    cut=st.booleans(),
    soft=st.booleans(),
    lamb=st.sampled_from([0.0, 0.05, 0.7]),
    phi=st.sampled_from([1.0, -0.5]),
    seed=st.integers(0, 2**16),
)
def test_tet_and_its_gradient(
    shape: tuple[int, int, int], cut: bool, soft: bool, lamb: float, phi: float, seed: int
) -> None:
    numbers, (steps, samples, classes) = np.random.default_rng(seed), shape
    values = numbers.normal(0, 2, shape)
    hard = numbers.integers(0, classes, samples)
    y = numbers.dirichlet(np.ones(classes), samples) if soft else np.eye(classes)[hard]
    lengths = numbers.integers(1, steps + 1, samples) if cut else np.full(samples, steps)
    expected, gradient = tet_in_numpy(values, y, lengths.tolist(), lamb, phi)
    outputs = torch.tensor(values, requires_grad=True)
    said = batch(torch.tensor(y if soft else hard), torch.tensor(lengths) if cut else None)
    loss = TET(lamb, phi)(outputs, said)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert outputs.grad is not None
    np.testing.assert_allclose(outputs.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)


def test_tet_with_its_defaults_by_hand() -> None:
    # one timestep, outputs 1 and 3, label 1: cross-entropy log(1 + e^-2), distances to φ = 1: 0 and 4
    found = TET()(torch.tensor([[[1.0, 3.0]]]), batch(torch.tensor([1])))
    assert found.item() == pytest.approx(0.95 * math.log(1 + math.exp(-2)) + 0.05 * 2)


def test_tet_asks_every_timestep_to_be_right_where_the_mean_would_do() -> None:
    outputs = torch.tensor([[[4.0, 0.0]], [[0.0, 4.0]]])
    y = batch(torch.tensor([0]))
    assert CrossEntropy(Mean())(outputs, y).item() == pytest.approx(math.log(2))
    assert TET(lamb=0)(outputs, y).item() == pytest.approx((math.log(1 + math.exp(-4)) + math.log(1 + math.exp(4))) / 2)


# two samples, two classes, counts [4, 1] and [0, 2] in four timesteps; the second has two valid ones: [0, 1]
SPIKES = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]]).reshape(4, 2, 2).float()


@pytest.mark.parametrize(
    ("rates", "y", "lengths", "expected"),
    [
        # targets 3.2 and 0.8 of four: (0.8² + 0.2²)/16 and (0.8² + 1.2²)/16, over two classes and two samples
        ({}, [0, 1], None, (0.64 + 0.04 + 0.64 + 1.44) / 64),
        # the second sample's targets are 1.6 and 0.4 of two
        ({}, [0, 1], [4, 2], ((0.64 + 0.04) / 16 + (0.16 + 0.36) / 4) / 4),
        ({"correct_rate": 1.0, "incorrect_rate": 0.0}, [0, 1], None, (0 + 1 + 0 + 4) / 64),
        # a quarter of the way from 0.2 to 0.8 is 0.35: targets 1.4 and 2.6
        ({}, [[0.25, 0.75], [0.0, 1.0]], None, (2.6**2 + 1.6**2 + 0.64 + 1.44) / 64),
    ],
)
def test_spike_counts_by_hand(rates: dict[str, float], y: Any, lengths: Any, expected: float) -> None:
    counted = batch(torch.tensor(y), None if lengths is None else torch.tensor(lengths))
    assert SpikeCount(**rates)(SPIKES, counted).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [TET(), SpikeCount()])
def test_losses_on_each_timestep_read_nothing_behind_a_samples_length(loss: Any) -> None:
    lengths, y = torch.tensor([1, 2]), torch.tensor([0, 1])
    changed = OUTPUTS.clone()
    changed[1, 0] = 99
    assert loss(changed, batch(y, lengths)).item() == loss(OUTPUTS, batch(y, lengths)).item()
    assert loss(changed, batch(y)).item() != loss(OUTPUTS, batch(y)).item()


@pytest.mark.parametrize("loss", [TET(), SpikeCount()])
def test_every_sample_weighs_the_same(loss: Any) -> None:
    lengths, y = torch.tensor([1, 2]), torch.tensor([0, 1])
    alone = [loss(OUTPUTS[:end, n : n + 1], batch(y[n : n + 1])).item() for n, end in enumerate((1, 2))]
    assert loss(OUTPUTS, batch(y, lengths)).item() == pytest.approx(sum(alone) / 2)


class Usual(nn.Module):
    """A loss as torch's are, with the names that torch's users give."""

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, targets)


class OfTimesteps:
    def __call__(self, outputs: torch.Tensor, b: Batch) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs[-1], b.y)


class Keywords(CrossEntropy):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


def own_loss(own: type[Any], *typed: str) -> Any:
    target = f"{own.__module__}.{own.__qualname__}"
    config = configured("model=smlp", f"loss._target_={target}", f"trust=[{target}]", *typed)
    return build_loss(config, Last())


@pytest.mark.parametrize("own", [Usual, nn.CrossEntropyLoss, OfTimesteps, Keywords])
@pytest.mark.parametrize("lengths", [None, torch.tensor([2, 2])])
def test_a_loss_of_either_form_is_that_of_the_readout(own: type[Any], lengths: Any) -> None:
    y = torch.tensor([0, 1])
    # the last outputs are [3,0] and [0,0]
    expected = (math.log(1 + math.exp(-3)) + math.log(2)) / 2
    assert own_loss(own)(OUTPUTS, batch(y, lengths)).item() == pytest.approx(expected, rel=1e-6)


def test_a_usual_loss_reads_nothing_behind_a_samples_length() -> None:
    loss = own_loss(Usual)(OUTPUTS, batch(torch.tensor([0, 1]), torch.tensor([1, 2])))
    assert loss.item() == pytest.approx((math.log(1 + math.exp(-1)) + math.log(2)) / 2, rel=1e-6)


def test_what_a_usual_loss_learns_belongs_to_the_learner() -> None:
    loss = OfPrediction(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0])), Mean())
    assert list(loss.state_dict()) == ["loss.weight"]
    # sample 0 counts once, sample 1 three times; means [2,0] and [0,1]
    expected = (math.log(1 + math.exp(-2)) + 3 * math.log(1 + math.exp(-1))) / 4
    assert loss(OUTPUTS, batch(torch.tensor([0, 1]))).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ours", [CrossEntropy(Mean()), MSE(Mean()), TET(), SpikeCount()])
def test_our_own_losses_take_the_batch(ours: Any) -> None:
    assert not takes_prediction(ours)
    assert not takes_prediction(lambda *everything: everything)
