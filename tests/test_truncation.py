"""TBPTT, SLTT and OTTT: the same forward as single-step, gradients that are cut in time, memory that T leaves alone."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import fit
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from membrane.fast.fused import fuse
from membrane.framework import OTTT, OTTTTID, SLTT, SLTTTID, TBPTT, TBPTTTID, SingleStep, SingleStepTID
from membrane.neurons import make_neuron

T, N, K = 6, 4, 3
Framework = Callable[..., Any]
Loss = Callable[[Tensor], Tensor]


@pytest.fixture(autouse=True)
def seeded(alone: None) -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def fire(**settings: Any) -> nn.Module:
    return make_neuron(neuron.LIFNode, partial(surrogate.Sigmoid, alpha=4.0), **settings)


def convolutional() -> nn.Sequential:
    """[N,2,4,4] → [N,K], with batch norm, dropout and fused neurons."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = nn.Sequential(
            *(layer.Conv2d(2, 5, 3, padding=1), layer.BatchNorm2d(5), fire(), layer.Dropout(0.2)),
            *(layer.Conv2d(5, 6, 3, padding=1), layer.BatchNorm2d(6), fire(v_reset=None)),
            *(layer.Flatten(), layer.Linear(96, K)),
        )
    fuse(model)
    return model


def gradients(framework: Framework, x: Tensor, loss: Loss | None = None, **inputs: Any) -> dict[str, list[Tensor]]:
    """The outputs, gradients and buffers of a training step of the convolutional net."""
    model = convolutional()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)  # of dropout
        outputs = framework(model, x, **inputs)
    (outputs.mean(0).square().mean() if loss is None else loss(outputs)).backward()
    return {
        "outputs": [outputs.detach()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "buffers": [buffer.clone() for buffer in model.buffers()],
    }


def assert_bits(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def assert_near(ours: list[Tensor], theirs: list[Tensor], share: float) -> None:
    """Compare by the norm of each difference, as a share of the norm."""
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).norm() <= share * other.norm() + 1e-9


def differ(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The largest relative difference of two tensors."""
    return max(((one - other).norm() / other.norm()).item() for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("keep_graph", [True, False])
@pytest.mark.parametrize(
    "framework", [partial(TBPTT, truncation=2), SLTT, OTTT, partial(TBPTTTID, truncation=4), SLTTTID, OTTTTID]
)
def test_the_forward_is_single_steps_to_the_bit(framework: Framework, keep_graph: bool) -> None:
    built = framework(T, keep_graph=keep_graph)
    in_data = built.timesteps_in_data
    x = torch.rand(N, *([T] if in_data else []), 2, 4, 4)
    ours, theirs = gradients(built, x), gradients((SingleStepTID if in_data else SingleStep)(T), x)
    assert_bits(ours["outputs"], theirs["outputs"])
    assert_bits(ours["buffers"], theirs["buffers"])
    assert differ(ours["gradients"], theirs["gradients"]) > 0.01
    model = convolutional().eval()
    with torch.no_grad():
        assert torch.equal(built(model, x), (SingleStepTID if in_data else SingleStep)(T)(model, x))


@pytest.mark.parametrize("truncation", [T, 100])
def test_truncation_at_t_or_later_is_backpropagation_through_time_to_the_bit(truncation: int) -> None:
    x = torch.rand(N, T, 2, 4, 4)
    ours, theirs = gradients(TBPTTTID(T, truncation), x), gradients(SingleStepTID(T), x)
    assert_bits(ours["gradients"], theirs["gradients"])


@pytest.mark.parametrize("framework", [partial(TBPTTTID, truncation=4), SLTTTID, OTTTTID])
def test_a_graph_that_is_computed_again_gives_the_gradients_of_one_that_is_kept(framework: Framework) -> None:
    x, lengths = torch.rand(N, T, 2, 4, 4), torch.tensor([6, 2, 5, 3])
    for inputs in ({}, {"lengths": lengths}):  # with lengths batch norm leaves padding out
        ours = gradients(framework(T), x, **inputs)
        theirs = gradients(framework(T, keep_graph=True), x, **inputs)
        assert_bits(ours["outputs"], theirs["outputs"])
        assert_bits(ours["buffers"], theirs["buffers"])
        assert_near(ours["gradients"], theirs["gradients"], 1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = gradients(framework(T), x), gradients(framework(T, keep_graph=True), x)
    assert_bits(ours["outputs"], theirs["outputs"])
    assert_near(ours["gradients"], theirs["gradients"], 0.02)


def test_sltt_is_truncation_at_one() -> None:
    x = torch.rand(N, T, 2, 4, 4)
    assert_bits(gradients(SLTTTID(T), x)["gradients"], gradients(TBPTTTID(T, 1), x)["gradients"])


def by_hand(weights: list[Tensor], x: Tensor, truncation: int, tau: float) -> Tensor:
    """Two layers of LIF with a hard and a soft reset, written out; v is detached at every k-th timestep → [T,N,K]."""
    w1, w2 = weights
    spike = surrogate.Sigmoid(alpha=4.0)
    v1, v2, outputs = torch.zeros(()), torch.zeros(()), []
    for t in range(x.shape[1]):
        if t % truncation == 0:
            v1, v2 = v1.detach(), v2.detach()
        h1 = v1 + (x[:, t] @ w1.T - v1) / tau
        s1 = spike(h1 - 1)
        v1 = h1 * (1 - s1)
        h2 = v2 + (s1 @ w2.T - v2) / tau
        s2 = spike(h2 - 1)
        v2 = h2 - s2
        outputs.append(s2)
    return torch.stack(outputs)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("keep_graph", [True, False])
@pytest.mark.parametrize("truncation", [1, 2, 4, 5])
def test_gradients_are_those_of_a_loop_that_detaches(truncation: int, keep_graph: bool, fused: bool) -> None:
    dtype, tolerance = (torch.float32, 1e-5) if fused else (torch.float64, 1e-12)
    model = nn.Sequential(
        *(layer.Flatten(), layer.Linear(6, 20, bias=False), fire(tau=1.5)),
        *(layer.Linear(20, K, bias=False), fire(tau=1.5, v_reset=None)),
    ).to(dtype)
    with torch.no_grad():
        for weight in model.parameters():
            nn.init.uniform_(weight, -0.4, 0.8)
    if fused:
        fuse(model)
    x, scores = 2 * torch.rand(N, T, 2, 3, dtype=dtype), torch.randn(T, N, K, dtype=dtype)
    weights = [parameter.detach().clone().requires_grad_() for parameter in model.parameters()]
    expected = by_hand(weights, x.flatten(2), truncation, 1.5)
    (expected * scores).sum().backward()
    outputs = TBPTTTID(T, truncation, keep_graph)(model, x)
    (outputs * scores).sum().backward()
    assert 0.1 < expected.mean() < 0.9
    assert torch.equal(outputs, expected)
    assert_near([each.grad for each in model.parameters()], [each.grad for each in weights], tolerance)


def one_layer(**settings: Any) -> nn.Sequential:
    """Data → spikes → linear → spikes; the weights in between are what OTTT is exact for."""
    model = nn.Sequential(
        layer.Flatten(), layer.Linear(6, 12), fire(tau=2.5), layer.Linear(12, K), fire(tau=2.5, **settings)
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.uniform_(parameter, -0.4, 0.9)
    return model


@pytest.mark.parametrize("decay_input", [True, False])
def test_ottt_is_exact_for_weights_of_the_last_neurons_if_their_reset_is_soft_and_detached(decay_input: bool) -> None:
    x, scores = 3 * torch.rand(N, T, 2, 3, dtype=torch.float64), torch.randn(T, N, K, dtype=torch.float64)

    def differences(**settings: Any) -> list[float]:
        """OTTT's gradients against those of backpropagation through time: stem, last weights, last bias."""
        model = one_layer(decay_input=decay_input, **settings)
        compared = []
        for framework in (OTTTTID(T), SingleStepTID(T)):
            model.zero_grad()
            outputs = framework(model, x)
            assert 0.02 < outputs.mean() < 0.98
            (outputs * scores).sum().backward()
            compared.append([model[1].weight.grad, model[3].weight.grad, model[3].bias.grad])
        return [differ([one], [other]) for one, other in zip(*compared, strict=True)]

    stem, weights, bias = differences(v_reset=None, detach_reset=True)
    assert weights < 1e-12
    assert stem > 0.01  # gradients of earlier layers take other paths through time, a bias has no trace
    assert bias > 0.01
    assert differences(v_reset=None, detach_reset=False)[1] > 0.01
    assert differences(v_reset=0.0, detach_reset=True)[1] > 0.01


def peak_of_saved_bytes(framework: Framework, x: Tensor) -> int:
    """The most bytes that autograd holds at once in a training step, parameters and inputs left out."""
    model = convolutional()
    kept = {x.untyped_storage().data_ptr(), *(each.untyped_storage().data_ptr() for each in model.parameters())}
    alive = peak = 0

    class Saved:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, peak
            self.tensor = tensor
            self.bytes = 0 if tensor.untyped_storage().data_ptr() in kept else tensor.numel() * tensor.element_size()
            alive += self.bytes
            peak = max(peak, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= self.bytes

    with saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        framework(model, x).sum(2).mean(0).square().mean().backward()
    return peak


@pytest.mark.parametrize("framework", [partial(TBPTT, truncation=4), SLTT, OTTT])
def test_memory_does_not_grow_with_t_unless_the_graph_is_kept(framework: Framework) -> None:
    x = torch.rand(N, 2, 4, 4)
    few, many = (peak_of_saved_bytes(framework(steps), x) for steps in (8, 32))
    assert few > 1000
    assert many < 1.01 * few
    assert peak_of_saved_bytes(framework(32, keep_graph=True), x) > 3 * peak_of_saved_bytes(
        framework(8, keep_graph=True), x
    )


class TwoHeads(nn.Module):
    """[N,2,4,4] → two outputs, of which one has no parameters behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = convolutional()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"class": self.body(x), "light": x.mean((1, 2, 3))}


def test_outputs_may_be_several() -> None:
    x, model = torch.rand(N, T, 2, 4, 4), TwoHeads()
    outputs = SLTTTID(T)(model, x)
    assert outputs["class"].shape == (T, N, K)
    assert torch.equal(outputs["light"], x.mean((2, 3, 4)).T)
    outputs["class"].mean(0).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_gradient_by_the_input_is_there() -> None:
    x = torch.rand(N, T, 2, 4, 4, requires_grad=True)
    SLTTTID(T)(convolutional(), x).sum().backward()
    assert x.grad is not None
    assert math.isfinite(x.grad.norm())


def test_state_that_is_an_output_or_a_queue_is_cut_too() -> None:
    x = 4 * torch.rand(N, T, 2, 3, dtype=torch.float64)
    recurrent = layer.LinearRecurrentContainer(fire(), 12, 12)
    parallel = make_neuron(neuron.SlidingPSN, surrogate.Sigmoid, k=3, exp_init=False)
    for last in (recurrent, parallel):
        model = nn.Sequential(layer.Flatten(), layer.Linear(6, 12), last).double()
        again, kept, whole = ([], [], [])
        for framework, step in (
            (SLTTTID(T), again),
            (SLTTTID(T, keep_graph=True), kept),
            (SingleStepTID(T), whole),
        ):
            model.zero_grad()
            outputs = framework(model, x)
            outputs.mean(0).square().sum().backward()
            step += [outputs.detach(), *(parameter.grad for parameter in model.parameters())]
        assert 0 < whole[0].mean() < 1
        assert torch.equal(again[0], whole[0])
        assert differ(again, kept) < 1e-12
        assert differ(again, whole) > 1e-3


def test_a_fit_accumulates_and_clips_what_a_kept_graph_gives(tmp_path: Path) -> None:
    typed = ("framework=sltt", "epochs=1", "optimizer=sgd", "optimizer.lr=0.05", "trainer.accumulate=2")
    typed = (*typed, "trainer.clip_norm=0.1", "model.dropout=0.2", "model.norm=batch")
    again, kept, through_time = (
        [parameter.detach() for parameter in fit(folder(tmp_path, name), *typed, *changes).parameters()]
        for name, changes in {
            "again": [],
            "kept": ["framework.keep_graph=true"],
            "time": ["framework=singlestep"],
        }.items()
    )
    assert differ(again, kept) < 1e-4
    assert differ(again, through_time) > 0.01


def folder(parent: Path, name: str) -> Path:
    """A new folder."""
    path = parent / name
    path.mkdir()
    return path
