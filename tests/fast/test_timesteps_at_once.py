"""All timesteps at once are T calls of the model: outputs, statistics and state in all bits, gradients to rounding."""

import copy
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn
from torch.nn import functional as F

from membrane.fast.channels_last import lay_channels_last
from membrane.fast.fused import fuse
from membrane.fast.max_pool import pool_in_one_pass
from membrane.fast.stem_once import run_stem_once
from membrane.fast.timesteps_at_once import NEURONS, run_timesteps_at_once
from membrane.framework import SingleStep, SingleStepTID
from membrane.models.plif_net import PLIFNet
from membrane.models.resnet19 import ResNet19
from membrane.models.scnn import SCNN
from membrane.models.sew_net import SEWNet
from membrane.models.sew_resnet import SEWResNet
from membrane.models.smlp import SMLP
from membrane.models.spikformer import Spikformer
from membrane.models.spiking_resnet import SpikingResNet
from membrane.models.sresnet import SResNet
from membrane.neurons import is_neuron, make_neuron

T = 4
AT_ONCE = "single-step: all timesteps at once, layer by layer"
Fire = Callable[[], nn.Module]


def lif(**settings: Any) -> nn.Module:
    return make_neuron(neuron.LIFNode, surrogate.ATan, **{"v_threshold": 0.5, **settings})


def scnn(shape: tuple[int, ...], fire: Fire = lif, **changes: Any) -> nn.Module:
    return SCNN(input_shape=shape, classes=3, timesteps=T, neuron=fire, **{"filters": [4, 5], **changes})


def smlp(shape: tuple[int, ...], fire: Fire = lif, **changes: Any) -> nn.Module:
    return SMLP(input_shape=shape, classes=3, timesteps=T, neuron=fire, **{"units": [9, 8], **changes})


def sresnet(shape: tuple[int, ...], fire: Fire = lif, **changes: Any) -> nn.Module:
    return SResNet(input_shape=shape, classes=3, timesteps=T, neuron=fire, **{"filters": [4, 5], **changes})


def both(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return a copy that is called T times, and one that runs at once."""
    calls, once = copy.deepcopy(model), copy.deepcopy(model)
    for each in (calls, once):
        fuse(each)
    pool_in_one_pass(once)
    run_stem_once(once)
    run_timesteps_at_once(once)
    return calls, once


def run(model: nn.Module, x: Tensor, in_data: bool) -> tuple[Tensor, Tensor]:
    """Return the outputs, and the gradient of x of a loss that weighs every output differently."""
    x = x.clone().requires_grad_()
    with torch.random.fork_rng():
        torch.manual_seed(3)  # for dropout
        outputs = (SingleStepTID if in_data else SingleStep)(T)(model, x)
    (outputs * torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)).sum().backward()
    assert x.grad is not None
    return outputs, x.grad


def compare(model: nn.Module, shape: tuple[int, ...], in_data: bool, samples: int = 3, ran: bool = True) -> None:
    """Compare two batches one after the other: the running statistics of the first enter the second in eval mode."""
    calls, once = both(model)
    dtype = next(model.parameters()).dtype
    rtol = 1e-9 if dtype == torch.float64 else 2e-5
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        size = (samples, *([T] if in_data else []), *shape)
        x = 2 * torch.randn(size, generator=generator, dtype=dtype)
        (expected, g_expected), (found, g_found) = (run(each, x, in_data) for each in (calls, once))
        assert torch.equal(found, expected)
        assert found.std() > 0
    for (name, expected), (_, found) in zip(calls.named_buffers(), once.named_buffers(), strict=True):
        assert torch.equal(found, expected), name
    for (name, expected), (_, found) in zip(calls.named_modules(), once.named_modules(), strict=True):
        assert getattr(found, "step_mode", None) == getattr(expected, "step_mode", None), name
        assert type(found) is type(expected)
        if is_neuron(expected):
            assert torch.equal(found.v, expected.v), name
    gradients, others = (
        {name: each.grad for name, each in net.named_parameters() if each.grad is not None} for net in (calls, once)
    )
    compare_gradients({**others, "x": g_found}, {**gradients, "x": g_expected}, rtol)
    assert list(once.state_dict()) == list(calls.state_dict())
    assert ran == bool(once.timesteps_at_once.same_bits)


def compare_gradients(found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float) -> None:
    """Compare gradients by their norms; one that is 0 but for rounding, as a bias's before a norm, by the largest."""
    assert found.keys() == expected.keys()
    largest = max(float(each.norm()) for each in expected.values())
    for name, each in expected.items():
        assert (found[name] - each).norm() <= rtol * max(float(each.norm()), largest / 100), name


NORMS = ["batch", "none", "group", "tdbn", "tebn", "bntt"]


@given(
    st.sampled_from(["scnn", "smlp", "sresnet"]),
    st.sampled_from(NORMS),
    st.sampled_from([(2, 8), (2, 8, 8), (3, 9, 8)]),
    st.sampled_from(
        [("if", {"v_reset": None}), ("lif", {}), ("lif", {"tau": 3.0, "decay_input": False}), ("plif", {})]
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(2, 5),
)
@settings(max_examples=25)
def test_at_once_is_as_often_as_there_are_timesteps(
    name: str,
    norm: str,
    shape: tuple[int, ...],
    fire: tuple[str, dict[str, Any]],
    in_data: bool,
    training: bool,
    double: bool,
    samples: int,
) -> None:
    torch.manual_seed(0)
    classes = {"if": neuron.IFNode, "lif": neuron.LIFNode, "plif": neuron.ParametricLIFNode}
    build = {"scnn": partial(scnn, dropouts=0.2), "smlp": partial(smlp, dropout=0.2, synapse_tau=2.0)}
    factory = partial(make_neuron, classes[fire[0]], surrogate.ATan, **{"v_threshold": 0.5, **fire[1]})
    model = build.get(name, sresnet)(shape, factory, norm=norm).train(training)
    double = double or samples == 2  # of two values batch norm's gradient is nearly 0, and mostly rounding in float32
    compare(model.double() if double else model, shape, in_data, samples)


@pytest.mark.parametrize("neuron_class", NEURONS)
def test_every_neuron(neuron_class: Any) -> None:
    torch.manual_seed(0)
    model = scnn((2, 8, 8), partial(make_neuron, neuron_class, surrogate.ATan))
    compare(model, (2, 8, 8), in_data=True)


@pytest.mark.parametrize("recurrent", ["elementwise", "lateral", "linear"])
@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 8)])
def test_recurrent_layers(recurrent: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    compare(scnn(shape, recurrent=recurrent, fc_units=[6]), shape, in_data=True)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 8)])
def test_channels_last(norm: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = scnn(shape, norm=norm, filters=[8, 16], dropouts=0.2)
    calls, once = both(model)
    lay_channels_last(calls)
    lay_channels_last(once)
    x = torch.randn(3, *shape)
    (expected, _), (found, _) = (run(each, x, in_data=False) for each in (calls, once))
    assert torch.equal(found, expected)
    for (name, before), (_, after) in zip(calls.named_buffers(), once.named_buffers(), strict=True):
        assert torch.equal(after, before), name
    assert once.timesteps_at_once.same_bits


def signal_net() -> nn.Module:
    """Layers that sum, and draw, in the order of memory, behind others that may change it; signals are [C,8]."""
    stem = [layer.Conv1d(1, 4, 3, padding=1), layer.BatchNorm1d(4), lif(), layer.SynapseFilter(2.0), layer.Dropout(0.3)]
    return nn.Sequential(
        *stem, layer.Conv1d(4, 4, 3), layer.BatchNorm1d(4), lif(), layer.Flatten(), layer.Linear(24, 3)
    )


def image_net() -> nn.Module:
    """The same for images [C,8,8]."""
    stem = [layer.Conv2d(1, 4, 3, padding=1), layer.BatchNorm2d(4), lif(), layer.SynapseFilter(2.0), layer.Dropout(0.3)]
    behind = [layer.Conv2d(4, 4, 3), layer.BatchNorm2d(4), lif(), layer.AvgPool2d(2), layer.Flatten()]
    return nn.Sequential(*stem, *behind, layer.Linear(36, 3))


@pytest.mark.parametrize("samples", [1, 5])
@pytest.mark.parametrize("in_data", [False, True])
@pytest.mark.parametrize(("net", "shape"), [(signal_net, (1, 8)), (image_net, (1, 8, 8))])
def test_channels_last_draws_and_sums_in_one_order(
    net: Callable[[], nn.Module], shape: tuple[int, ...], in_data: bool, samples: int
) -> None:
    torch.manual_seed(0)
    model = net()
    lay_channels_last(model)
    compare(model, shape, in_data, samples)


def test_a_single_sample_has_the_gradient_of_a_float64_loop() -> None:
    """Torch's batch norm, channels last, has a wrong one for a view in which the sample's stride is small."""
    torch.manual_seed(0)
    model = scnn((2, 8, 8))
    exact = copy.deepcopy(model).double()
    lay_channels_last(model)
    _, once = both(model)
    x = torch.randn(1, T, 2, 8, 8)
    expected, found = run(exact, x.double(), in_data=True)[1], run(once, x, in_data=True)[1]
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("samples", [1, 3])
def test_timesteps_in_data_begin_anywhere_in_memory(samples: int) -> None:
    """Frames of 4·5·13 bytes: products of matrices may round otherwise where rows are not aligned."""
    torch.manual_seed(0)
    net = nn.Sequential(layer.Flatten(), layer.Linear(65, 40), lif(), layer.Linear(40, 7), lif(v_threshold=0.1))
    compare(net, (5, 13), in_data=True, samples=samples)


@pytest.mark.parametrize("settings", [{"momentum": None}, {"affine": False}, {"track_running_stats": False}, {}])
@pytest.mark.parametrize("in_data", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norms_of_every_setting(settings: dict[str, Any], in_data: bool, training: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.BatchNorm2d(2, **settings),
        layer.Conv2d(2, 4, 3),
        layer.BatchNorm2d(4, **settings),
        lif(),
        layer.Flatten(),
        layer.BatchNorm1d(16, **settings),
        layer.Linear(16, 3),
        layer.BatchNorm1d(3, **settings),
        lif(v_threshold=0.1),
    )
    compare(net.train(training), (2, 4, 4), in_data, samples=6)


@pytest.mark.parametrize("in_data", [False, True])
def test_batch_norm_by_hand(in_data: bool) -> None:
    """The layer's formula at each timestep, with running statistics that each timestep updates."""
    torch.manual_seed(0)
    net = nn.Sequential(layer.Flatten(), layer.Linear(6, 4), layer.BatchNorm1d(4, momentum=0.3), lif()).double()
    with torch.no_grad():
        net[2].weight.uniform_(0.5, 1.5)
        net[2].bias.uniform_(-0.5, 0.5)
    run_stem_once(net)
    run_timesteps_at_once(net)
    x = torch.randn(5, *([T] if in_data else []), 2, 3, dtype=torch.float64)
    outputs = (SingleStepTID if in_data else SingleStep)(T)(net, x)
    mean, variance, v = torch.zeros(4).double(), torch.ones(4).double(), torch.zeros(5, 4).double()
    for t in range(T):
        current = F.linear((x[:, t] if in_data else x).reshape(5, 6), net[1].weight, net[1].bias)
        centre = current - current.mean(0)
        mean = 0.7 * mean + 0.3 * current.mean(0)
        variance = 0.7 * variance + 0.3 * centre.square().sum(0) / 4
        normed = centre / (centre.square().mean(0) + 1e-5).sqrt() * net[2].weight + net[2].bias
        v = v + (normed - v) / 2
        spikes = (v >= 0.5).double()
        v = v * (1 - spikes)
        torch.testing.assert_close(outputs[t], spikes)
    assert 0 < outputs.mean() < 1
    torch.testing.assert_close(net[2].running_mean, mean)
    torch.testing.assert_close(net[2].running_var, variance)
    torch.testing.assert_close(net[3].v, v)
    assert net[2].num_batches_tracked == T


def test_pools_in_one_pass_run_at_once_without_the_stem_computed_once() -> None:
    model = scnn((2, 8, 8))
    fuse(model)
    pool_in_one_pass(model)
    calls = copy.deepcopy(model)
    run_timesteps_at_once(model)
    x = torch.rand(3, T, 2, 8, 8)
    assert torch.equal(SingleStepTID(T)(model, x), SingleStepTID(T)(calls, x))
    assert model.timesteps_at_once.same_bits


def test_a_gradient_of_the_gradient() -> None:
    torch.manual_seed(0)
    norms = (layer.BatchNorm1d(4), layer.BatchNorm1d(2))
    net = nn.Sequential(layer.Flatten(), layer.Linear(3, 4), norms[0], nn.Tanh(), layer.Linear(4, 2), norms[1])
    found = []
    for each in both(net.double()):
        x = torch.linspace(-1, 1, 5 * T * 3, dtype=torch.float64).reshape(5, T, 1, 3).mul(9).sin().requires_grad_()
        outputs = SingleStepTID(T)(each, x)
        [g] = torch.autograd.grad(outputs.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), x)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9)


def counted(model: nn.Module) -> list[tuple[int, ...]]:
    """Record the shapes that a model's own forward is called with, without a hook."""
    shapes: list[tuple[int, ...]] = []
    model_class = type(model)

    class Counted(model_class):  # type: ignore[misc, valid-type]
        def forward(self, x: Tensor) -> Tensor:
            shapes.append(tuple(x.shape))
            return super().forward(x)  # type: ignore[no-any-return]

    Counted.__module__ = model_class.__module__
    model.__class__ = Counted
    return shapes


@pytest.mark.parametrize("where", ["", "conv1", "norm2", "neuron2", "head"])
@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward"])
def test_with_a_hook_the_model_is_called_step_by_step(where: str, kind: str) -> None:
    torch.manual_seed(0)
    _, model = both(scnn((2, 8, 8)))
    shapes = counted(model)
    x = torch.randn(3, 2, 8, 8)
    expected = SingleStep(T)(model, x)
    assert shapes == [(T, 3, 2, 8, 8)]
    calls: list[int] = []
    handle = getattr(model.get_submodule(where), f"register_{kind}_hook")(lambda *_: calls.append(1))
    outputs = SingleStep(T)(model, x)
    outputs.sum().backward()
    assert shapes[1:] == [(3, 2, 8, 8)] * T
    assert len(calls) == T
    assert torch.equal(outputs, expected)
    handle.remove()
    SingleStep(T)(model, x)
    assert shapes[1 + T :] == [(T, 3, 2, 8, 8)]


def test_a_hook_for_all_modules_counts() -> None:
    _, model = both(scnn((2, 8, 8)))
    shapes, calls = counted(model), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: calls.append(module))
    SingleStep(T)(model, torch.randn(3, 2, 8, 8))
    handle.remove()
    assert shapes == [(3, 2, 8, 8)] * T
    assert calls.count(model) == T


class Own(nn.Module):
    """A layer of the user's own."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean()


def with_own_layer() -> nn.Module:
    return nn.Sequential(layer.Conv2d(2, 3, 3), Own(), lif(), layer.Flatten(), layer.Linear(108, 3))


def twice() -> nn.Module:
    fire = lif()
    return nn.Sequential(layer.Flatten(), layer.Linear(128, 9), fire, layer.Linear(9, 9), fire)


def replaced() -> nn.Module:
    model = smlp((2, 8, 8))
    model.fc1.forward = lambda x: x[..., :9]
    return model


def in_place() -> nn.Module:
    return nn.Sequential(layer.Conv2d(2, 3, 3), nn.ReLU(inplace=True), lif(), layer.Flatten(), layer.Linear(108, 3))


def watched() -> nn.Module:
    model = smlp((2, 8, 8))
    model.neuron1.surrogate_function = Own()
    return model


STEP_BY_STEP: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "own": (with_own_layer, "Own is not known to give the same bits at once"),
    "twice": (twice, "a layer is called twice"),
    "replaced": (replaced, "Linear is not known to give the same bits at once"),
    "in_place": (in_place, "ReLU is not known to give the same bits at once"),
    "watched": (watched, "LIFNode is not known to give the same bits at once"),
    "own_time": (
        lambda: Spikformer(
            input_shape=(2, 16, 16), classes=3, timesteps=T, neuron=lif, embed_dims=8, num_heads=2, depths=1
        ),
        "Spikformer is not known to give the same bits at once",
    ),
}


@pytest.mark.parametrize("case", STEP_BY_STEP)
def test_what_is_not_known_is_called_step_by_step(case: str, caplog: pytest.LogCaptureFixture) -> None:
    build, reason = STEP_BY_STEP[case]
    size = 16 if case == "own_time" else 8
    model = build()
    run_timesteps_at_once(model)
    with caplog.at_level(logging.INFO, logger="membrane.fast.timesteps_at_once"):
        for _ in range(2):
            SingleStep(T)(model, torch.randn(3, 2, size, size))
    assert caplog.messages == [f"single-step: step by step, for {reason}"]


@pytest.mark.parametrize(("steps", "lines"), [(1, []), (2, [AT_ONCE])])
def test_two_timesteps_are_enough(caplog: pytest.LogCaptureFixture, steps: int, lines: list[str]) -> None:
    model = smlp((2, 4, 4))
    run_timesteps_at_once(model)
    with caplog.at_level(logging.INFO, logger="membrane.fast.timesteps_at_once"):
        SingleStep(steps)(model, torch.randn(3, 2, 4, 4))
    assert caplog.messages == lines


def test_one_line_says_what_ran(caplog: pytest.LogCaptureFixture) -> None:
    model = scnn((2, 8, 8))
    run_timesteps_at_once(model)
    x = torch.randn(3, 2, 8, 8)
    with caplog.at_level(logging.INFO, logger="membrane.fast.timesteps_at_once"):
        for training in (False, True, True):
            SingleStep(T)(model.train(training), x)
        assert caplog.messages == [AT_ONCE]
        lengths = torch.tensor([T, 1, 2])
        SingleStepTID(T)(model, torch.randn(3, T, 2, 8, 8), lengths)
    assert caplog.messages == [AT_ONCE, "single-step: step by step, for batch norm leaves out padding"]


def test_lengths_leave_models_without_batch_norm_at_once() -> None:
    torch.manual_seed(0)
    calls, once = both(scnn((2, 8, 8), norm="bntt"))
    x, lengths = torch.randn(3, T, 2, 8, 8), torch.tensor([T, 2, 3])
    expected, found = (SingleStepTID(T)(each, x, lengths) for each in (calls, once))
    assert torch.equal(found, expected)
    for (name, before), (_, after) in zip(calls.named_buffers(), once.named_buffers(), strict=True):
        assert torch.equal(after, before), name


@pytest.mark.parametrize("name", ["linear", "conv2d"])
def test_a_sum_that_depends_on_the_number_of_rows_runs_step_by_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, original = 3, getattr(F, name)

    def other_rounding(x: Tensor, *arguments: Any) -> Tensor:
        result: Tensor = original(x, *arguments)
        return result if len(x) == samples and x.dim() in (2, 4) else result * (1 + 1e-3)

    monkeypatch.setattr(F, name, other_rounding)
    torch.manual_seed(0)
    compare(scnn((2, 8, 8), head_neuron=False), (2, 8, 8), in_data=True, samples=samples)


def test_one_value_in_a_channel_is_refused_as_ever() -> None:
    for model in both(smlp((2, 8), norm="batch")):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            SingleStepTID(T)(model, torch.randn(1, T, 2, 8))
        assert {each.step_mode for each in model.modules() if hasattr(each, "step_mode")} == {"s"}
        assert model.eval()(torch.randn(1, 2, 8)).shape == (1, 3)


def test_a_copy_runs_its_own_layers() -> None:
    torch.manual_seed(0)
    _, model = both(scnn((2, 8, 8)))
    x = torch.randn(3, 2, 8, 8)
    with torch.no_grad():
        before = SingleStep(T)(model.eval(), x)
        other = copy.deepcopy(model)
        other.head.weight.zero_()
        assert SingleStep(T)(other, x).std(1).max() == 0
        assert torch.equal(SingleStep(T)(model, x), before)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "plif_net": partial(PLIFNet, channels=8),
    "resnet19": ResNet19,
    "sew_net": partial(SEWNet, channels=(4, 4)),
    "sew_resnet": SEWResNet,
    "spiking_resnet": SpikingResNet,
}
LARGE = ("resnet19", "sew_resnet", "spiking_resnet")


@pytest.mark.parametrize("name", [pytest.param(each, marks=[pytest.mark.slow] * (each in LARGE)) for each in MODELS])
def test_published_models(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name](input_shape=(2, 8, 8), classes=3, timesteps=T, neuron=lif)
    compare(model, (2, 8, 8), in_data=False, samples=2)
