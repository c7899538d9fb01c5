"""Timesteps in chunks that the backward pass runs again: the same gradients, less memory, and nothing else changes."""

import copy
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.base import MemoryModule
from torch import Tensor, nn

from membrane.analysis.listening import listening
from membrane.fast.fused import fuse
from membrane.fast.recomputation import behind_stem
from membrane.fast.stem_once import run_stem_once
from membrane.fast.timesteps_at_once import run_timesteps_at_once
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.models.sresnet import SResNet
from membrane.neurons import neuron_layers

T, N, CHUNK = 7, 3, 3
SHAPE = [2, 6, 6]
Build = Callable[..., nn.Module]

shared: dict[str, Any] = {"input_shape": SHAPE, "classes": 4, "timesteps": T, "neuron": neuron.LIFNode}
scnn: Build = partial(SCNN, **shared, filters=[3, 4])
smlp: Build = partial(SMLP, **shared, units=[6, 5])
MODELS: dict[str, Build] = {
    "dropout": partial(scnn, norm="none", dropouts=0.5),
    "group": partial(scnn, norm="group"),
    "tebn": partial(scnn, norm="tebn"),
    "bntt": partial(scnn, norm="bntt"),
    "batch": partial(scnn, norm="batch", dropouts=0.5),
    "residual": partial(SResNet, **shared, filters=[3, 4], norm="tdbn"),
    "recurrent": partial(smlp, recurrent="lateral"),
    "synapse": partial(smlp, synapse_tau=2.0, dropout=0.5),
    "delays": partial(smlp, max_delay=2),
    "soft": partial(smlp, neuron=partial(neuron.IFNode, v_reset=None)),
    "learned": partial(smlp, neuron=neuron.ParametricLIFNode, head_neuron=True),
    "queue": partial(smlp, neuron=partial(neuron.SlidingPSN, k=3)),
}
MIXED = {"batch", "residual", "tebn", "queue"}
"""Those that mix timesteps in multi-step mode."""


def built(build: Build, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return build().to(dtype).train()


def step(framework: Any, model: nn.Module, lengths: Tensor | None = None) -> Tensor:
    """Run a batch forward and back, twice, so that statistics of the first are those that the second begins with."""
    for seed in range(2):
        torch.manual_seed(seed)
        steps = [framework.timesteps] if framework.timesteps_in_data else []
        x = 3 * torch.randn(N, *steps, *SHAPE, dtype=next(model.parameters()).dtype)
        outputs = framework(model, x, lengths)
        (outputs * torch.arange(outputs.numel()).cos().reshape(outputs.shape)).sum().backward()
    return outputs


def compare(framework: Any, model: nn.Module, lengths: Tensor | None = None, tolerance: float = 1e-12) -> None:
    chunked = copy.deepcopy(model)
    expected = step(framework(T), model, lengths)
    torch.testing.assert_close(step(framework(T, CHUNK), chunked, lengths), expected, rtol=0, atol=tolerance)
    for (name, one), (_, other) in zip(model.named_parameters(), chunked.named_parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(other.grad, one.grad, rtol=0, atol=tolerance * one.grad.abs().max().item(), msg=name)
    assert any(each.grad is not None and each.grad.abs().max() > 0 for each in model.parameters())
    for (name, one), (_, other) in zip(model.named_buffers(), chunked.named_buffers(), strict=True):
        assert torch.equal(one, other), name
    for one, other in zip(model.modules(), chunked.modules(), strict=True):
        if isinstance(one, MemoryModule):
            torch.testing.assert_close(other._memories, one._memories)


@pytest.mark.parametrize("framework", [SingleStep, SingleStepTID])
@pytest.mark.parametrize("name", MODELS)
def test_single_step(name: str, framework: Any) -> None:
    compare(framework, built(MODELS[name]))


@pytest.mark.parametrize("framework", [MultiStep, MultiStepTID])
@pytest.mark.parametrize("name", sorted(MODELS.keys() - MIXED))
def test_multi_step(name: str, framework: Any) -> None:
    compare(framework, built(MODELS[name]))


@pytest.mark.parametrize("framework", [SingleStep, MultiStep, SingleStepTID, MultiStepTID])
def test_fused_neurons_begin_a_chunk_where_the_last_one_ended(framework: Any) -> None:
    model = built(MODELS["soft"], torch.float32)
    for parameter in model.parameters():  # sums of products are exact, in whatever order
        parameter.data = (8 * parameter.data).round() / 8
    with torch.random.fork_rng():
        fuse(model)
        run_stem_once(model)
        compare(framework, model, tolerance=1e-6)


@pytest.mark.parametrize("framework", [SingleStep, SingleStepTID])
@pytest.mark.parametrize("name", ["batch", "soft", "residual"])
def test_chunks_run_all_of_their_timesteps_at_once(name: str, framework: Any) -> None:
    model = built(MODELS[name], torch.float32)
    fuse(model)
    run_timesteps_at_once(model)
    compare(framework, model, tolerance=1e-6)
    assert any("all timesteps at once" in line for line in model.timesteps_at_once.logged)  # type: ignore[union-attr]


@pytest.mark.parametrize("norm", ["batch", "bntt"])
def test_samples_of_different_lengths(norm: str) -> None:
    compare(SingleStepTID, built(MODELS[norm]), torch.tensor([2, T, 4]))


def test_the_gradient_of_the_input() -> None:
    model = built(MODELS["learned"])
    gradients = []
    for recompute in (None, CHUNK):
        torch.manual_seed(0)
        x = torch.randn(N, *SHAPE, dtype=torch.float64, requires_grad=True)
        MultiStep(T, recompute)(model, x).sum().backward()  # type: ignore[union-attr]
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_a_second_backward_pass_through_one_graph() -> None:
    """One valid sample is normalised by running statistics, which running again must find as they were each time."""
    gradients = []
    for recompute in (None, CHUNK):
        model, x = built(partial(smlp, norm="batch")), torch.randn(N, T, *SHAPE).double()
        loss = SingleStepTID(T, recompute)(model, x, torch.tensor([1, T, 1])).square().sum()  # type: ignore[union-attr]
        loss.backward(retain_graph=True)
        loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients)


def saved_bytes(framework: Any, model: nn.Module, x: Tensor) -> int:
    """Count the bytes of what is kept for the gradient, but for x and the parameters."""
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = framework(model, x)
    for each in (x, *model.parameters()):
        kept.pop(each.untyped_storage().data_ptr(), None)
    assert outputs.requires_grad
    return sum(each.untyped_storage().nbytes() for each in kept.values())


@pytest.mark.parametrize("steps", [8, 64])
def test_what_is_kept(steps: int) -> None:
    units, chunk = 10, 4
    model = built(partial(SMLP, input_shape=SHAPE, classes=4, timesteps=steps, neuron=neuron.IFNode, units=[units]))
    fuse(model.float())
    x = torch.randn(N, steps, *SHAPE)
    layer = 4 * N * units
    # at each timestep: what the neuron receives, its potential before, and its spikes, which the head receives
    assert saved_bytes(SingleStepTID(steps), model, x) == 3 * steps * layer - layer
    states = steps // chunk - 1
    assert saved_bytes(SingleStepTID(steps, chunk), model, x) == 3 * chunk * layer + (states - 1) * layer


def test_layers_are_heard_once() -> None:
    model, calls = built(MODELS["batch"]), Counter[str]()
    with listening(neuron_layers(model), lambda name, *_: calls.update([name])):
        step(SingleStep(T, CHUNK), model)
    assert set(calls.values()) == {2 * T}  # of two batches


class Backwards(nn.Sequential):
    """A sequence with a forward of its own, which calls its layers in the other order."""

    def forward(self, x: Tensor) -> Tensor:
        for each in reversed(self):
            x = each(x)
        return x


def test_the_layers_before_the_first_neuron_run_once_if_their_order_is_known() -> None:
    linear, x = layer.Linear(72, 4), torch.randn(N, 72).expand(T, N, 72)
    rest, once = behind_stem(nn.Sequential(linear, neuron.IFNode(), layer.Linear(4, 4)), x)
    assert [type(each) for each in rest] == [neuron.IFNode, layer.Linear]  # type: ignore[arg-type, union-attr]
    assert torch.equal(once, linear(x[0])[None])
    for model in (Backwards(linear, neuron.IFNode()), nn.Sequential(linear, neuron.IFNode())):
        if type(model) is nn.Sequential:
            model.forward = lambda _: None  # type: ignore[method-assign]
        whole, same = behind_stem(model, x)
        assert whole is model
        assert torch.equal(same, x[:1])


def test_random_numbers_go_on_as_if_nothing_had_run_again() -> None:
    model = built(MODELS["dropout"])
    torch.manual_seed(0)
    outputs = SingleStep(T, CHUNK)(model, torch.randn(N, *SHAPE, dtype=torch.float64))
    before = torch.get_rng_state()
    outputs.sum().backward()  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_gradient_nothing_is_cut() -> None:
    model, shapes = built(MODELS["soft"]), []
    model[0].register_forward_hook(lambda _module, _inputs, output: shapes.append(list(output.shape)))  # type: ignore[index]
    with torch.no_grad():
        MultiStep(T, CHUNK)(model, torch.randn(N, *SHAPE, dtype=torch.float64))
    assert shapes == [[T, N, 72]]
