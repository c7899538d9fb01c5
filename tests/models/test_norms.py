"""Norms: both step modes are one function in eval mode, and each does in training what its paper says."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.models.norms import NORMS, TemporalEffectiveBatchNorm, make_norm, mixes_timesteps, set_momentum
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.neurons import is_neuron
from membrane.neurons.normalised_lif import MPBNLIF
from membrane.randomness import generator, scoped

N, T, F = 6, 3, 8  # whole models are warmed up on 6 timesteps
SHAPES = {0: (F,), 1: (F, 5), 2: (F, 4, 3)}
Build = Callable[..., nn.Module]


@pytest.fixture(params=[kind for kind in NORMS if kind != "none"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def data(dims: int) -> Tensor:
    """[T,N,F,…] of another mean and spread in every timestep."""
    x = torch.randn(T, N, *SHAPES[dims], generator=generator(0, "data"))
    ramp = torch.arange(1.0, T + 1).reshape(T, *[1] * (dims + 2))
    return x * ramp + ramp


def run(norm: nn.Module, x: Tensor, mode: str) -> Tensor:
    """The norm from a fresh start, in either step mode."""
    for module in norm.modules():
        if hasattr(module, "step_mode"):
            module.step_mode = mode
        if hasattr(module, "reset"):
            module.reset()
    return norm(x) if mode == "m" else torch.stack([norm(frame) for frame in x])


def made(kind: str, dims: int) -> nn.Module:
    """A norm that has learned something."""
    norm = make_norm(kind, dims, F, T, v_threshold=0.5)
    assert norm is not None
    with scoped(0, "initialisation"), torch.no_grad():
        for tensor in (*norm.parameters(), *(b for b in norm.buffers() if b.is_floating_point())):
            tensor.uniform_(0.5, 1.5)
    return norm


def standard(x: Tensor, axes: list[int]) -> Tensor:
    """(x − mean) / √(variance + ε) over axes."""
    return (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, correction=0) + 1e-5).sqrt()


@pytest.mark.parametrize("dims", [0, 1, 2])
def test_eval_mode_is_one_function(kind: str, dims: int) -> None:
    norm, x = made(kind, dims).eval(), data(dims)
    multi = run(norm, x, "m")
    assert multi.shape == x.shape
    assert (multi - x).abs().max() > 0.1
    torch.testing.assert_close(run(norm, x, "s"), multi, atol=1e-5, rtol=0)


@pytest.mark.product
@pytest.mark.parametrize("dims", [0, 1, 2])
@pytest.mark.parametrize("mode", ["s", "m"])
def test_training_normalises_over_what_the_paper_says(kind: str, dims: int, mode: str) -> None:
    x, positions = data(dims), list(range(3, dims + 3))
    norm = make_norm(kind, dims, F, T, v_threshold=0.5, alpha=0.7)
    assert norm is not None
    if kind == "group":
        expected = standard(x.reshape(T, N, 2, -1), [3]).reshape(x.shape)  # 8 features in 2 groups of 4
    elif kind == "bntt" or mode == "s":
        expected = standard(x, [1, *positions])
    else:
        expected = standard(x, [0, 1, *positions])
    if kind == "tdbn":
        expected = expected * 0.35  # α·v_threshold
    if kind == "tebn":
        scale = torch.tensor([0.5, 1.0, 2.0])
        norm.get_parameter("scale").data.copy_(scale)
        expected = expected * scale.reshape(T, *[1] * (dims + 2))
    torch.testing.assert_close(run(norm.train(), x, mode), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("batch_norm", ["batch", "tdbn", "tebn", "bntt"])
def test_running_statistics_move_by_the_momentum(batch_norm: str, mode: str) -> None:
    """Once a batch in multi-step mode, at each timestep in single-step mode; ``bntt`` has statistics of each."""
    x, m = data(2), 0.3
    norm = make_norm(batch_norm, 2, F, T)
    assert norm is not None
    set_momentum(norm, m)
    run(norm.train(), x, mode)
    norms = [each for each in norm.modules() if isinstance(each, nn.BatchNorm2d)]
    updates = [x.transpose(0, 2).reshape(F, -1)] if mode == "m" else [each.transpose(0, 1).reshape(F, -1) for each in x]
    seen = [[each.transpose(0, 1).reshape(F, -1)] for each in x] if batch_norm == "bntt" else [updates]
    for each, batches in zip(norms, seen, strict=True):
        mean, variance = torch.zeros(F), torch.ones(F)
        for batch in batches:
            mean = (1 - m) * mean + m * batch.mean(1)
            variance = (1 - m) * variance + m * batch.var(1)
        torch.testing.assert_close(each.running_mean, mean)
        torch.testing.assert_close(each.running_var, variance)


@pytest.mark.parametrize("dims", [0, 1, 2])
def test_parameters_counted_on_paper(kind: str, dims: int) -> None:
    expected = {"batch": 2 * F, "group": 2 * F, "tdbn": 2 * F, "tebn": 2 * F + T, "bntt": T * F}
    norm = make_norm(kind, dims, F, T)
    assert norm is not None
    assert sum(parameter.numel() for parameter in norm.parameters()) == expected[kind]


def test_what_there_is_and_what_not() -> None:
    assert make_norm("none", 2, F, T) is None
    with pytest.raises(ConfigError, match="norm must be one of batch, none, group, tdbn, tebn, bntt, got 'layer'"):
        make_norm("layer", 2, F, T)
    with pytest.raises(IndexError, match="TEBN has a scale for 3 timesteps, got 4"):
        run(TemporalEffectiveBatchNorm(nn.Identity(), 3), torch.zeros(4, 2, F), "m")


@pytest.mark.parametrize(("features", "groups"), [(64, 8), (32, 8), (16, 4), (24, 4), (8, 2), (12, 2), (6, 1), (1, 1)])
def test_groups_hold_four_features_where_they_can(features: int, groups: int) -> None:
    norm = make_norm("group", 0, features, T)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups


def test_a_second_chunk_of_time_takes_the_scales_behind_the_first() -> None:
    norm = TemporalEffectiveBatchNorm(nn.Identity(), T)
    with torch.no_grad():
        norm.scale.copy_(torch.arange(1.0, T + 1))
    x = data(0)
    first = run(norm, x[:1], "m")
    assert torch.equal(first, x[:1])
    assert torch.equal(norm(x[1:]), x[1:] * norm.scale[1:].reshape(-1, 1, 1))
    with pytest.raises(IndexError, match="TEBN has a scale for 3 timesteps, got 4"):
        norm(x[:1])


@pytest.mark.parametrize(
    ("kind", "mixes"),
    [("batch", True), ("none", False), ("group", False), ("tdbn", True), ("tebn", True), ("bntt", False)],
)
def test_which_norms_mix_timesteps(kind: str, mixes: bool, build_lively: Build, shapes: Any) -> None:
    model = build_lively("scnn", "if_soft", 2, norm=kind, timesteps=6).double().train()
    x = torch.randn(N, T, *shapes[2], generator=generator(0, "data"), dtype=torch.float64)
    difference = (SingleStepTID(T)(model, x) - MultiStepTID(T)(model, x)).abs().max()
    assert mixes_timesteps(model) == mixes == bool(difference > 1e-6)


def test_a_norm_inside_a_neuron_mixes_no_timesteps() -> None:
    assert not mixes_timesteps(nn.Sequential(MPBNLIF()))


@pytest.mark.product
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("template", ["smlp", "scnn", "scnn_separable"])
def test_a_template_with_any_norm_has_parity(
    kind: str, template: str, dims: int, build_lively: Build, shapes: Any
) -> None:
    model = build_lively(template, "lif_soft", dims, norm=kind, timesteps=6).eval()
    x = torch.randn(N, T, *shapes[dims], generator=generator(0, "data"))
    with torch.no_grad():
        multi = MultiStepTID(T)(model, x)
        assert multi.std(0).max() > 0.01
        assert (SingleStepTID(T)(model, x) - multi).abs().max() <= 1e-5


def test_the_threshold_reaches_tdbn() -> None:
    class Factory:
        v_threshold = 0.5

        def __call__(self) -> nn.Module:
            return nn.ReLU()

    scnn = SCNN(input_shape=(1, 8, 8), classes=3, timesteps=4, neuron=Factory(), filters=[4], norm="tdbn")
    smlp = SMLP(input_shape=(1, 8), classes=3, timesteps=4, neuron=Factory(), units=[4], norm="tdbn")
    for model in (scnn, smlp):
        assert model.get_parameter("norm1.weight").tolist() == [0.5] * 4
        assert not any(is_neuron(module) for module in model.modules())


def test_half_precision_is_the_same_in_both_step_modes(kind: str) -> None:
    norm, x = made(kind, 2).eval(), data(2).bfloat16()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        single, multi = (run(norm, x, mode) for mode in "sm")
    assert single.dtype == multi.dtype
    torch.testing.assert_close(single, multi, atol=0.05, rtol=0.05)
