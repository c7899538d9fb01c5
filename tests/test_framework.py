"""The four strategies: when state is reset, what the model sees, what may come back."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.neurons import make_neuron

PLAIN = (SingleStep, MultiStep)
TID = (SingleStepTID, MultiStepTID)
Strategy = Callable[[int], Any]
T, N, K = 5, 3, 4


@pytest.fixture(autouse=True)
def seeded(alone: None) -> Iterator[None]:
    torch.set_num_threads(1)  # models this small lose more to a second thread than they gain
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def signal(*shape: int) -> Tensor:
    """A random input, in eighths: with weights in sixteenths float sums are exact, in whatever order."""
    return (24 * torch.randn(shape)).round() / 8


def spiking(seed: int = 0) -> nn.Sequential:
    """[N,6] → [N,K] with membrane potentials in between; about every third output is a spike."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fire = partial(make_neuron, neuron.LIFNode, surrogate.ATan)
        model = nn.Sequential(layer.Linear(6, 20), fire(tau=3.0), layer.Linear(20, K), fire(v_reset=None))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((64 * parameter).round() / 16)
    return model


def frames(steps: int = T, samples: int = N) -> Tensor:
    """[N,T,C=2,S=3] that differ at every step."""
    return signal(samples, steps, 2, 3)


class Flat(nn.Module):
    """A model for [C,S]: whatever is behind, of flattened inputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.flatten, self.model = layer.Flatten(), model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(self.flatten(x))


class Recorder(nn.Module):
    """Keeps what it is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.neuron = neuron.IFNode()
        self.step_mode = "s"

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return x


def test_what_the_model_sees() -> None:
    x, data = torch.randn(N, 2, 3), frames()
    seen = {strategy: Recorder() for strategy in (*PLAIN, *TID)}
    for strategy, model in seen.items():
        strategy(T)(model, data if strategy in TID else x)
    assert [call.tolist() for call in seen[SingleStep].seen] == [x.tolist()] * T
    assert [call.tolist() for call in seen[MultiStep].seen] == [[x.tolist()] * T]
    by_step = [data[:, step].tolist() for step in range(T)]
    assert [call.tolist() for call in seen[SingleStepTID].seen] == by_step
    assert [call.tolist() for call in seen[MultiStepTID].seen] == [by_step]
    assert {model.step_mode for strategy, model in seen.items() if strategy in (MultiStep, MultiStepTID)} == {"m"}


def test_multistep_repeats_without_a_copy() -> None:
    x, model = torch.randn(N, 2, 3), Recorder()
    MultiStep(1000)(model, x)
    assert model.seen[0].untyped_storage().nbytes() == x.untyped_storage().nbytes()


@pytest.mark.parametrize("steps", [T, N])
def test_the_four_strategies_are_one_function(steps: int) -> None:
    x = signal(N, 2, 3)
    repeated = x.unsqueeze(1).repeat(1, steps, 1, 1)
    outputs = [strategy(steps)(Flat(spiking()), x) for strategy in PLAIN]
    outputs += [strategy(steps)(Flat(spiking()), repeated) for strategy in TID]
    assert outputs[0].shape == (steps, N, K)
    assert 0.05 < outputs[0].mean() < 0.95
    assert not torch.equal(outputs[0][0], outputs[0][1])
    for other in outputs[1:]:
        assert torch.equal(outputs[0], other)


@pytest.mark.parametrize("strategy", TID)
def test_timesteps_in_the_data_are_taken_in_their_order(strategy: Strategy) -> None:
    data, model = frames(), Flat(spiking())
    forwards, backwards = strategy(T)(model, data), strategy(T)(model, data.flip(1))
    assert not torch.equal(forwards, backwards.flip(0))
    # causal: the first steps do not see the later ones
    assert torch.equal(strategy(2)(model, data[:, :2]), forwards[:2])


@pytest.mark.parametrize("strategy", [*PLAIN, *TID])
def test_no_state_crosses_batches(strategy: Strategy) -> None:
    model, run = Flat(spiking()), strategy(T)
    batches = [frames() if strategy in TID else signal(N, 2, 3) for _ in range(3)]
    batches.append(batches[0][:2])
    for batch in (*batches, *reversed(batches)):
        assert torch.equal(run(model, batch), run(Flat(spiking()), batch))
        run(model, batch).sum().backward()


def test_without_the_reset_state_would_cross() -> None:
    model, x = spiking(), signal(N, 6)
    expected = SingleStep(1)(model, x)[0]
    assert not torch.equal(model(x), expected)


@pytest.mark.parametrize("strategy", PLAIN)
def test_the_reset_comes_first_and_potentials_stay_readable(strategy: Strategy) -> None:
    model, x = nn.Sequential(make_neuron(neuron.IFNode, surrogate.ATan, v_reset=None)), torch.full((N, 1), 0.375)
    run = strategy(4)
    for _ in range(2):  # 0.375, 0.75, 1.125 − 1, 0.5
        assert run(model, x)[:, 0, 0].tolist() == [0, 0, 1, 0]
        assert model[0].v.flatten().tolist() == [0.5] * N
    model[0].v = torch.full((N, 1), 100.0)
    assert run(model, x)[:, 0, 0].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("strategy", PLAIN)
def test_what_is_added_after_a_first_forward_is_reset_and_switched_too(strategy: Strategy) -> None:
    model, x, run = spiking(), signal(N, 6), strategy(T)
    run(model, x)
    model.append(layer.Flatten())
    model.append(make_neuron(neuron.IFNode, surrogate.ATan, v_threshold=1.5, v_reset=None))
    first = run(model, x)
    assert 0 < first.mean() < 1
    assert torch.equal(run(model, x), first)
    assert model[4].step_mode == model[5].step_mode == model[0].step_mode


def test_a_model_may_go_from_one_strategy_to_the_next() -> None:
    model, x = Flat(spiking()), signal(N, 2, 3)
    repeated = x.unsqueeze(1).repeat(1, T, 1, 1)
    outputs = [run(T)(model, x if run in PLAIN else repeated) for run in (*PLAIN, *TID, *reversed(PLAIN))]
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])


@pytest.mark.parametrize("samples", [T, N])
def test_containers_that_step_by_themselves_keep_their_childrens_step_mode(samples: int) -> None:
    def recurrent() -> nn.Module:
        model = spiking()
        model[1] = layer.ElementWiseRecurrentContainer(model[1], lambda x, y: x - 0.5 * y)
        return model

    x = signal(samples, 6)
    single, multi = SingleStep(T)(recurrent(), x), MultiStep(T)(recurrent(), x)
    assert not torch.equal(single[0], single[-1])
    torch.testing.assert_close(single, multi, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strategy", TID)
@pytest.mark.parametrize("shape", [(N, T), (N, T, 6), (N, T, 1, 2, 3, 1)])
def test_data_without_the_right_number_of_dimensions(strategy: Strategy, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"need x as \[N,T,C,S\] or \[N,T,C,H,W\], got \[3, 5") as refused:
        strategy(T)(spiking(), torch.zeros(shape))
    assert str(list(shape)) in str(refused.value)


@pytest.mark.parametrize("strategy", TID)
@pytest.mark.parametrize("steps", [1, T - 1, T + 1])
def test_data_with_another_number_of_timesteps(strategy: Strategy, steps: int) -> None:
    message = rf"the data has {steps} timesteps \(axis 1 of \[3, {steps}, 2, 3\]\), expected {T}"
    with pytest.raises(ValueError, match=message):
        strategy(T)(Flat(spiking()), frames(steps))


@pytest.mark.parametrize("strategy", TID)
@pytest.mark.parametrize("lengths", [torch.ones(N + 1), torch.ones(N, 1), torch.tensor(1)])
def test_lengths_that_do_not_fit_the_batch(strategy: Strategy, lengths: Tensor) -> None:
    with pytest.raises(ValueError, match=r"lengths must be \[N\] = \[3\], got"):
        strategy(T)(Flat(spiking()), frames(), lengths)


@pytest.mark.parametrize("strategy", TID)
def test_lengths_leave_the_outputs_as_they_are(strategy: Strategy) -> None:
    data, model = frames(), Flat(spiking())
    assert torch.equal(strategy(T)(model, data, torch.tensor([1, 5, 2])), strategy(T)(model, data))


class Averaging(nn.Module):
    """[T,N,6] → [N,K]: averages over time, which is the readout's business; [N,6] → [K]."""

    def __init__(self) -> None:
        super().__init__()
        self.spiking = spiking()

    def forward(self, x: Tensor) -> Tensor:
        averaged: Tensor = self.spiking(x).mean(0)
        return averaged


@pytest.mark.parametrize("strategy", [*PLAIN, *TID])
@pytest.mark.parametrize("steps", [T, N])
def test_a_model_that_averages_over_time_is_caught(strategy: Strategy, steps: int) -> None:
    x = frames(steps) if strategy in TID else torch.randn(N, 2, 3)
    with pytest.raises(ValueError, match=rf"the model returned \[.*\], expected \[T={steps}, N=3, …\]"):
        strategy(steps)(Flat(Averaging()), x)


class Two(nn.Module):
    """[…,6] → a dict of [N,K] and [N,K,2] (or with T in front)."""

    def __init__(self, drop: bool = False) -> None:
        super().__init__()
        self.spiking, self.drop = spiking(), drop

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        spikes = self.spiking(x)
        return {
            "one": spikes,
            "two": torch.stack([spikes, 2 * spikes], -1).mean(0, keepdim=True) if self.drop else spikes,
        }


@pytest.mark.parametrize("steps", [T, N])
def test_outputs_may_be_a_dict(steps: int) -> None:
    x = signal(N, 6)
    single, multi, expected = (SingleStep(steps)(Two(), x), MultiStep(steps)(Two(), x), SingleStep(steps)(spiking(), x))
    for outputs in (single, multi):
        assert list(outputs) == ["one", "two"]
        assert torch.equal(outputs["one"], expected)
    with pytest.raises(ValueError, match=rf"expected \[T={steps}, N=3, …\]"):
        MultiStep(steps)(Two(drop=True), x)
    with pytest.raises(ValueError, match=rf"expected \[T={steps}, N=3, …\]"):
        SingleStep(steps)(Two(drop=True), x)


def ann() -> nn.Module:
    torch.manual_seed(0)
    return Flat(nn.Sequential(layer.Linear(6, 8), nn.ReLU(), layer.Dropout(0.5), layer.Linear(8, K)))


@pytest.mark.parametrize("strategy", PLAIN)
def test_an_ann_runs_once_under_plain_strategies(strategy: Strategy) -> None:
    model, x, calls = ann().eval(), torch.randn(N, 2, 3), []
    model.register_forward_hook(lambda *_: calls.append(1))
    outputs = strategy(T)(model, x)
    assert len(calls) == 1
    assert outputs.shape == (1, N, K)
    first, _, _, second = model.model
    assert torch.allclose(outputs[0], second(first(x.flatten(1)).clamp(min=0)), atol=1e-6)


@pytest.mark.parametrize("strategy", TID)
@pytest.mark.parametrize("steps", [T, N])
def test_an_ann_sees_every_frame_on_its_own(strategy: Strategy, steps: int) -> None:
    model, data = ann().eval(), frames(steps)
    outputs = strategy(steps)(model, data)
    assert outputs.shape == (steps, N, K)
    for step in range(steps):
        torch.testing.assert_close(outputs[step], SingleStep(steps)(model, data[:, step])[0], atol=1e-6, rtol=0)


def test_a_strategy_says_what_it_is() -> None:
    for strategy in (*PLAIN, *TID):
        assert strategy(7).timesteps == 7
        assert strategy(7).timesteps_in_data == (strategy in TID)


@pytest.mark.parametrize("strategy", TID)
def test_fewer_timesteps_need_lengths_that_lie_within_them(strategy: Strategy) -> None:
    x, short = frames(), torch.tensor([T - 1, 1, 2])
    outputs, whole = strategy(T)(Flat(spiking()), x[:, : T - 1], short), strategy(T)(Flat(spiking()), x)
    assert torch.equal(outputs, whole[: T - 1])
    with pytest.raises(ValueError, match=rf"the data has {T - 1} timesteps .*, expected {T}"):
        strategy(T)(Flat(spiking()), x[:, : T - 1])
    with pytest.raises(ValueError, match=rf"the data has {T} timesteps .*, expected {T - 1}"):
        strategy(T - 1)(Flat(spiking()), x, short)
    with pytest.raises(ValueError, match=rf"lengths must be from 1 to {T - 1}, sample 2 has {T}"):
        strategy(T)(Flat(spiking()), x[:, : T - 1], torch.tensor([1, 1, T]))


@pytest.mark.parametrize("strategy", TID)
@pytest.mark.parametrize(("length", "sample"), [(0, 1), (-1, 0), (T + 1, 2)])
def test_lengths_outside_the_timesteps_are_refused(strategy: Strategy, length: int, sample: int) -> None:
    lengths = torch.full((N,), T)
    lengths[sample] = length
    with pytest.raises(ValueError, match=rf"^lengths must be from 1 to {T}, sample {sample} has {length}$"):
        strategy(T)(Flat(spiking()), frames(), lengths)
