"""Readouts against loops over samples and timesteps, on every prefix of T."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron
from torch import Tensor

from membrane.errors import ConfigError
from membrane.readout import Crossings, FirstSpike, Last, Max, Mean, Membrane, Readout, Sum

T, N, K = 5, 4, 3
LENGTHS = torch.tensor([5, 1, 3, 2])

Formula = Callable[[list[Tensor]], Tensor]


def integrated(steps: list[Tensor], tau: float, gain: float) -> list[Tensor]:
    """v[t] = Σ_s gain·(1 − 1/τ)^(t−s)·x[s]: the integrator as a sum, not as a recurrence."""
    return [
        sum((gain * (1 - 1 / tau) ** (t - s) * x for s, x in enumerate(steps[: t + 1])), torch.zeros_like(steps[0]))
        for t in range(len(steps))
    ]


def weighed_by_time(steps: list[Tensor]) -> Tensor:
    """(T − t)/T · x[t] at the first t where it is above 0, output by output; the last one where it never is."""
    rows = torch.stack(steps).reshape(len(steps), -1).T.tolist()
    scores = []
    for row in rows:
        t = next((t for t, value in enumerate(row) if value > 0), len(row) - 1)
        scores.append(row[t] * (len(row) - t) / len(row))
    return torch.tensor(scores, dtype=steps[0].dtype).reshape(steps[0].shape)


FORMULAS: list[tuple[Callable[[], Readout], Formula]] = [
    (Mean, lambda steps: sum(steps[1:], steps[0]) / len(steps)),
    (Sum, lambda steps: sum(steps[1:], steps[0])),
    (Max, lambda steps: torch.stack(steps).max(0).values),
    (Last, lambda steps: steps[-1]),
    (Membrane, lambda steps: integrated(steps, 2, 1 / 2)[-1]),
    (partial(Membrane, 3.0, "last", decay_input=False), lambda steps: integrated(steps, 3, 1)[-1]),
    (partial(Membrane, 1.5, "max"), lambda steps: torch.stack(integrated(steps, 1.5, 1 / 1.5)).max(0).values),
    (FirstSpike, weighed_by_time),
    (partial(Crossings, -1.5), lambda steps: sum(((step >= -1.5) * 1.0 for step in steps), torch.zeros_like(steps[0]))),
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
def test_formulas_on_every_prefix(readout: Callable[[], Readout], formula: Formula, lengths: Tensor | None) -> None:
    outputs = random(T, N, K)
    for steps in range(1, T + 1):
        prediction = readout()(outputs[:steps], lengths)
        assert isinstance(prediction, Tensor)
        torch.testing.assert_close(prediction, by_hand(formula, outputs[:steps], lengths))


@settings(max_examples=40)
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    cut=st.booleans(),
    chosen=st.sampled_from(FORMULAS),
    draw=st.randoms(use_true_random=False),
)
def test_any_shape(shape: list[int], cut: bool, chosen: tuple[Callable[[], Readout], Formula], draw: object) -> None:
    steps, samples = shape[:2]
    lengths = torch.tensor([draw.randint(1, steps) for _ in range(samples)]) if cut else None
    outputs = random(*shape)
    prediction = chosen[0]()(outputs, lengths)
    assert prediction.shape == outputs.shape[1:]
    torch.testing.assert_close(prediction, by_hand(chosen[1], outputs, lengths))


@pytest.mark.parametrize("readout", READOUTS)
def test_full_lengths_are_no_lengths(readout: Callable[[], Readout]) -> None:
    outputs = random(T, N, K)
    torch.testing.assert_close(readout()(outputs, torch.full((N,), T)), readout()(outputs))


@pytest.mark.parametrize("readout", READOUTS)
def test_what_lies_behind_a_samples_length_is_not_read(readout: Callable[[], Readout]) -> None:
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
def test_outputs_that_are_a_dict(readout: Callable[[], Readout], lengths: Tensor | None) -> None:
    outputs = {"head": random(T, N, K), "boxes": random(T, N, 2, K)}
    predictions = readout()(outputs, lengths)
    assert isinstance(predictions, dict)
    assert list(predictions) == ["head", "boxes"]
    for name, output in outputs.items():
        assert torch.equal(predictions[name], readout()(output, lengths))


def column(*values: float) -> Tensor:
    """One output of one sample over time: [T,1,1]."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


# x = 1, 0, 2, −4; τ = 4: v ← v + (x − v)/4, or without decay of the input v ← 3/4·v + x
@pytest.mark.parametrize(
    ("decay_input", "trace"),
    [(True, [0.25, 0.1875, 0.640625, -0.51953125]), (False, [1.0, 0.75, 2.5625, -2.078125])],
)
def test_the_membrane_by_hand_on_every_prefix(decay_input: bool, trace: list[float]) -> None:
    outputs = column(1, 0, 2, -4)
    for steps in range(1, 5):
        assert Membrane(4, "last", decay_input)(outputs[:steps]).item() == trace[steps - 1]
        assert Membrane(4, "max", decay_input)(outputs[:steps]).item() == max(trace[:steps])
        assert Membrane(4, "max", decay_input)(outputs, torch.tensor([steps])).item() == max(trace[:steps])


def test_the_softmax_of_potentials_summed_by_hand() -> None:
    # τ = 4, the input does not decay: v = (1, 0), (0.75, 1), (1.5625, 0.75)
    outputs = torch.tensor([[[1.0, 0]], [[0, 1]], [[1, 0]]], dtype=torch.float64)
    shares = [1 / (1 + math.exp(second - first)) for first, second in ((1, 0), (0.75, 1), (1.5625, 0.75))]
    readout = Membrane(4, "softmax", decay_input=False)
    for steps in (1, 2, 3):
        expected = pytest.approx([sum(shares[:steps]), steps - sum(shares[:steps])])
        assert readout(outputs[:steps])[0].tolist() == expected
        assert readout(outputs, torch.tensor([steps]))[0].tolist() == expected


def test_a_potential_that_never_rises_has_no_maximum_at_the_start() -> None:
    assert Membrane(2, "max")(column(-4, -4, -4)).item() == -2


def test_the_membrane_is_that_of_spikingjellys_integrator() -> None:
    outputs = random(T, N, K)
    for decay_input in (True, False):
        lif = neuron.LIFNode(tau=3.0, decay_input=decay_input, v_threshold=1e9, v_reset=None, step_mode="m")
        lif(outputs)
        torch.testing.assert_close(Membrane(3.0, "last", decay_input)(outputs), lif.v)


@pytest.mark.parametrize("reduce", ["last", "max", "softmax"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_gradients_of_the_membrane_by_finite_differences(reduce: Any, lengths: Tensor | None) -> None:
    readout = Membrane(3.0, reduce)
    assert torch.autograd.gradcheck(lambda x: readout(x, lengths), random(T, N, K).requires_grad_())


@pytest.mark.parametrize(
    ("changes", "said"), [({"tau": 1}, "tau=1 must be"), ({"reduce": "mean"}, "must be last, max or softmax")]
)
def test_what_is_no_membrane(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Membrane(**changes)


def test_the_class_that_spikes_first_wins_and_a_silent_one_scores_nothing() -> None:
    # four classes over four timesteps: at once, at t = 1 (and later more often), at the last, never
    spikes = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]], dtype=torch.float64)
    outputs = spikes.unsqueeze(1)
    assert FirstSpike()(outputs).tolist() == [[1, 0.75, 0.25, 0]]
    assert FirstSpike()(outputs[:2]).tolist() == [[1, 0.5, 0, 0]]
    assert FirstSpike()(outputs, torch.tensor([3])).tolist() == [[1, 2 / 3, 0, 0]]


@settings(max_examples=40)
@given(steps=st.integers(1, 6), cut=st.booleans(), seed=st.integers(0, 2**16))
def test_first_spikes_of_any_spikes(steps: int, cut: bool, seed: int) -> None:
    numbers = torch.Generator().manual_seed(seed)
    outputs = (torch.rand(steps, N, K, generator=numbers) < 0.25).double()
    lengths = torch.randint(1, steps + 1, (N,), generator=numbers) if cut else None
    for end in range(1, steps + 1):
        scores = FirstSpike()(outputs[:end], lengths)
        torch.testing.assert_close(scores, by_hand(weighed_by_time, outputs[:end], lengths))
        assert ((scores >= 0) & (scores <= 1)).all()


def test_the_gradient_of_first_spike_is_that_of_one_timestep_and_reaches_a_silent_class() -> None:
    outputs = torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]], [[1.0, 0.0]]]).requires_grad_()
    FirstSpike()(outputs).sum().backward()
    assert outputs.grad is not None
    torch.testing.assert_close(outputs.grad, torch.tensor([[[0.0, 0.0]], [[2 / 3, 0.0]], [[0.0, 1 / 3]]]))
    outputs.grad = None
    FirstSpike()(outputs, torch.tensor([2])).sum().backward()
    torch.testing.assert_close(outputs.grad, torch.tensor([[[0.0, 0.0]], [[0.5, 0.5]], [[0.0, 0.0]]]))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_out_in_float32(
    readout: Callable[[], Readout], dtype: torch.dtype, lengths: Tensor | None
) -> None:
    halves = (1 - 3 * random(T, N, K)).to(dtype).requires_grad_()  # from 4 to 7
    with torch.autocast("cpu", torch.bfloat16):
        prediction = readout()(halves, lengths)
    assert isinstance(prediction, Tensor)
    assert prediction.dtype == torch.float32
    # in double precision, of the same rounded outputs: in half precision the sums would be off by some thousandths
    exact = halves.detach().double().requires_grad_()
    expected = readout()(exact, lengths)
    torch.testing.assert_close(prediction.double(), expected, rtol=1e-6, atol=1e-6)
    if isinstance(readout(), Crossings):  # which has no gradient
        assert not prediction.requires_grad
        return
    prediction.sum().backward()
    expected.sum().backward()
    assert halves.grad is not None
    assert halves.grad.dtype == dtype
    torch.testing.assert_close(halves.grad.double(), exact.grad, rtol=1e-2, atol=1e-6)


def test_long_sums_of_spikes_are_counted() -> None:
    outputs = torch.ones(300, 1, 1, dtype=torch.bfloat16)
    assert Sum()(outputs).item() == 300
    assert Membrane(1e9, decay_input=False)(outputs).item() == pytest.approx(300, rel=1e-6)  # bfloat16 stays at 256


@pytest.mark.parametrize("readout", READOUTS)
def test_a_sample_without_a_timestep_is_refused(readout: Callable[[], Readout]) -> None:
    with pytest.raises(ValueError, match=r"^lengths must be at least 1, sample 2 has 0$"):
        readout()(random(T, N, K), torch.tensor([5, 1, 0, 2]))
    with pytest.raises(ValueError, match=r"^lengths must be \[N\] = \[4\], got \[3\]$"):
        readout()(random(T, N, K), torch.tensor([5, 1, 2]))
