"""The stem computed once is the stem computed T times: outputs, gradients, running statistics, hooks."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron
from torch import nn

from membrane.fast import kernels
from membrane.fast.fused import fuse
from membrane.fast.repetition import repeated
from membrane.fast.stem_once import run_stem_once
from membrane.framework import MultiStep, MultiStepTID
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.models.sresnet import SResNet

T = 4


def factory() -> Any:
    return neuron.LIFNode(tau=2.0)


MODELS = {
    "scnn": lambda norm: SCNN(input_shape=[2, 8, 8], classes=3, timesteps=T, neuron=factory, filters=[4, 5], norm=norm),
    "scnn1d": lambda norm: SCNN(input_shape=[2, 8], classes=3, timesteps=T, neuron=factory, filters=[4, 5], norm=norm),
    "pooled": lambda norm: SCNN(
        input_shape=[2, 8, 8], classes=3, timesteps=T, neuron=factory, filters=[4], norm=norm, prepool=2
    ),
    "smlp": lambda norm: SMLP(input_shape=[2, 8, 8], classes=3, timesteps=T, neuron=factory, units=[6], norm=norm),
    "sresnet": lambda norm: SResNet(
        input_shape=[2, 8, 8], classes=3, timesteps=T, neuron=factory, filters=[4, 4], norm=norm
    ),
}


@pytest.mark.product
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", ["batch", "none", "group", "tdbn", "tebn", "bntt"])
@pytest.mark.parametrize("name", MODELS)
def test_once_is_as_often_as_there_are_steps(name: str, norm: str, training: bool) -> None:
    torch.manual_seed(0)
    plain = MODELS[name](norm).double().train(training)
    once = copy.deepcopy(plain)
    run_stem_once(once)
    framework = MultiStep(T)
    for seed in range(2):  # running statistics of the first batch enter the second
        x = torch.randn(5, 2, *([8] if name == "scnn1d" else [8, 8]), generator=torch.Generator().manual_seed(seed))
        xs = [x.double().requires_grad_() for _ in range(2)]
        outputs = [framework(model, each) for model, each in zip((plain, once), xs, strict=True)]
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-9, atol=1e-9)
        for output in outputs:
            (output * torch.arange(output.numel()).reshape(output.shape)).sum().backward()
        torch.testing.assert_close(xs[1].grad, xs[0].grad, rtol=1e-7, atol=1e-7)
    for (key, expected), (_, found) in zip(plain.named_parameters(), once.named_parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-7, atol=1e-7, msg=key)
    for key, expected in plain.state_dict().items():
        torch.testing.assert_close(once.state_dict()[key], expected, rtol=1e-9, atol=1e-9, msg=key)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.floats(0.05, 1.0))
@settings(max_examples=40)
def test_running_statistics_for_any_shape(steps: int, samples: int, positions: int, momentum: float) -> None:
    plain = layer.BatchNorm1d(3, momentum=momentum, step_mode="m").double()
    once = copy.deepcopy(plain)
    run_stem_once(once)
    x = torch.randn(samples, 3, positions, dtype=torch.float64).expand(steps, samples, 3, positions)
    if steps * samples * positions == 1:
        return  # torch refuses batch norm of one value
    torch.testing.assert_close(once(x), plain(x))
    torch.testing.assert_close(once.running_mean, plain.running_mean)
    torch.testing.assert_close(once.running_var, plain.running_var)
    assert once.num_batches_tracked == plain.num_batches_tracked == 1


def test_the_stem_runs_on_one_timestep_and_what_follows_on_all() -> None:
    model = MODELS["scnn"]("batch")
    run_stem_once(model)
    calls: dict[str, list[int]] = {}
    convolve = nn.Conv2d._conv_forward

    def counted(self: Any, x: torch.Tensor, *arguments: Any) -> torch.Tensor:
        calls.setdefault("convolved", []).append(len(x))
        return convolve(self, x, *arguments)

    seen = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _m, _i, output, name=name: seen.update({name: tuple(output.shape[:2])}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(nn.Conv2d, "_conv_forward", counted)
        MultiStep(T)(model, torch.randn(5, 2, 8, 8))
        MultiStepTID(T)(model, torch.randn(5, T, 2, 8, 8))
    assert calls["convolved"] == [5, 5 * T, 5 * T, 5 * T]
    assert set(seen.values()) == {(T, 5)}, "a hook sees every timestep"


def test_a_copy_runs_its_own_layers() -> None:
    torch.manual_seed(0)
    model = MODELS["smlp"]("batch")
    run_stem_once(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.fc1.weight.zero_()
        other.fc1.bias.zero_()
    assert other.fc1.forward.__self__ is other.fc1
    assert list(other.state_dict()) == list(model.state_dict())
    x = 9 * torch.randn(3, 2, 8, 8)
    assert MultiStep(T)(other.eval(), x).unique(dim=1).shape[1] == 1
    assert MultiStep(T)(model.eval(), x).unique(dim=1).shape[1] > 1


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "in place"])
@pytest.mark.parametrize("name", ["scnn", "scnn1d", "smlp"])
def test_a_fused_neuron_sums_the_gradient_of_the_stem(
    name: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    plain = MODELS[name]("batch")
    once = copy.deepcopy(plain)
    fuse(once)
    run_stem_once(once)
    if not compiled:
        monkeypatch.setattr(kernels, "kernel_for", lambda form: None)
    x = torch.randn(5, 2, *([8] if name == "scnn1d" else [8, 8]))
    for model in (plain, once):
        MultiStep(T)(model, x).square().sum().backward()
    stem = next(iter(once.children()))
    assert repeated(stem(x.expand(T, *x.shape))) is not None
    for (key, expected), (_, found) in zip(plain.named_parameters(), once.named_parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-5, msg=key)


def test_layers_that_work_in_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "membrane")
    torch.manual_seed(0)
    layers = [layer.Conv2d(2, 3, 3), nn.ReLU(inplace=True), factory(), layer.Flatten(), layer.Linear(108, 3)]
    plain = nn.Sequential(*layers)
    once = copy.deepcopy(plain)
    run_stem_once(once)
    assert caplog.messages == ["layers before the first neuron run at every timestep: 1 works in place"]
    x = torch.randn(3, 2, 8, 8)
    assert torch.equal(MultiStep(T)(once, x), MultiStep(T)(plain, x))


@pytest.mark.parametrize("asked", ["retained", "hook", "autograd"])
def test_hooks_get_the_gradient_of_what_they_see(asked: str) -> None:
    torch.manual_seed(0)
    once = MODELS["scnn"]("batch")
    plain = copy.deepcopy(once)
    fuse(once)
    run_stem_once(once)
    gradients = []
    for model in (plain, once):
        seen, arrived = [], []

        def listen(_: nn.Module, __: Any, output: torch.Tensor, seen: Any = seen, arrived: Any = arrived) -> None:
            seen.append(output)
            if asked == "retained":
                output.retain_grad()
            elif asked == "hook":
                output.register_hook(arrived.append)

        model.norm1.register_forward_hook(listen)
        x = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1))
        loss = MultiStep(T)(model, x).square().sum()
        if asked == "autograd":
            arrived.extend(torch.autograd.grad(loss, seen))
        else:
            loss.backward()
        gradients.append(seen[0].grad if asked == "retained" else arrived[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
