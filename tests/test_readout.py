"""Readouts against loops over samples and timesteps, on every prefix of T."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from membrane.readout import Last, Max, Mean, Readout, Sum

T, N, K = 5, 4, 3
LENGTHS = torch.tensor([5, 1, 3, 2])

Formula = Callable[[list[Tensor]], Tensor]
FORMULAS: list[tuple[type[Readout], Formula]] = [
    (Mean, lambda steps: sum(steps[1:], steps[0]) / len(steps)),
    (Sum, lambda steps: sum(steps[1:], steps[0])),
    (Max, lambda steps: torch.stack(steps).max(0).values),
    (Last, lambda steps: steps[-1]),
]
READOUTS = [readout for readout, _ in FORMULAS]


def random(*shape: int) -> Tensor:
    """All negative, so that what lies behind a sample's length would show as a maximum of 0."""
    return -1 - torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def by_hand(formula: Formula, outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """[T,N,…] → [N,…], one sample after another."""
    ends = [len(outputs)] * outputs.shape[1] if lengths is None else [min(int(n), len(outputs)) for n in lengths]
    return torch.stack([formula(list(outputs[:end, sample])) for sample, end in enumerate(ends)])


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(("readout", "formula"), FORMULAS)
def test_formulas_on_every_prefix(readout: type[Readout], formula: Formula, lengths: Tensor | None) -> None:
    outputs = random(T, N, K)
    for steps in range(1, T + 1):
        prediction = readout()(outputs[:steps], lengths)
        assert isinstance(prediction, Tensor)
        torch.testing.assert_close(prediction, by_hand(formula, outputs[:steps], lengths))


@settings(deadline=None, max_examples=40)
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    cut=st.booleans(),
    chosen=st.sampled_from(FORMULAS),
    draw=st.randoms(use_true_random=False),
)
def test_any_shape(shape: list[int], cut: bool, chosen: tuple[type[Readout], Formula], draw: object) -> None:
    steps, samples = shape[:2]
    lengths = torch.tensor([draw.randint(1, steps) for _ in range(samples)]) if cut else None
    outputs = random(*shape)
    prediction = chosen[0]()(outputs, lengths)
    assert prediction.shape == outputs.shape[1:]
    torch.testing.assert_close(prediction, by_hand(chosen[1], outputs, lengths))


@pytest.mark.parametrize("readout", READOUTS)
def test_full_lengths_are_no_lengths(readout: type[Readout]) -> None:
    outputs = random(T, N, K)
    torch.testing.assert_close(readout()(outputs, torch.full((N,), T)), readout()(outputs))


@pytest.mark.parametrize("readout", READOUTS)
def test_what_lies_behind_a_samples_length_is_not_read(readout: type[Readout]) -> None:
    outputs = random(T, N, K)
    changed = outputs.clone()
    for sample, length in enumerate(LENGTHS.tolist()):
        changed[length:, sample] = torch.inf
    torch.testing.assert_close(readout()(changed, LENGTHS), readout()(outputs, LENGTHS), rtol=0, atol=0)
    assert not torch.equal(readout()(changed), readout()(outputs))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_gradient_of_last_is_that_of_the_last_output_alone(lengths: Tensor | None) -> None:
    outputs, weights = random(T, N, K).requires_grad_(), random(N, K)
    (Last()(outputs, lengths) * weights).sum().backward()
    expected = torch.zeros(T, N, K, dtype=torch.float64)
    for sample in range(N):
        expected[T - 1 if lengths is None else lengths[sample] - 1, sample] = weights[sample]
    assert outputs.grad is not None
    assert torch.equal(outputs.grad, expected)


def test_the_gradient_of_mean_is_shared_by_the_valid_steps() -> None:
    outputs = random(T, N, K).requires_grad_()
    Mean()(outputs, LENGTHS).sum().backward()
    expected = torch.zeros(T, N, K, dtype=torch.float64)
    for sample, length in enumerate(LENGTHS.tolist()):
        expected[:length, sample] = 1 / length
    torch.testing.assert_close(outputs.grad, expected)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_outputs_that_are_a_dict(readout: type[Readout], lengths: Tensor | None) -> None:
    outputs = {"head": random(T, N, K), "boxes": random(T, N, 2, K)}
    predictions = readout()(outputs, lengths)
    assert isinstance(predictions, dict)
    assert list(predictions) == ["head", "boxes"]
    for name, output in outputs.items():
        assert torch.equal(predictions[name], readout()(output, lengths))
