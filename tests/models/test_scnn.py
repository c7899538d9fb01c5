"""The SCNN: its tree, its size, sizes by arithmetic against the true ones, and what cannot be built."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStep, SingleStep
from membrane.models.scnn import SCNN
from membrane.neurons import is_neuron, make_neuron

LIF = partial(make_neuron, neuron.LIFNode, surrogate.ATan)
PLIF = partial(make_neuron, neuron.ParametricLIFNode, surrogate.ATan)


def scnn(**changes: Any) -> SCNN:
    needed = {"input_shape": (2, 12, 8), "classes": 5, "timesteps": 4, "neuron": LIF, "filters": [4, 6]}
    return SCNN(**{**needed, **changes})


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_children()]


def test_the_tree_of_a_plain_one() -> None:
    assert names(scnn()) == [
        *("conv1", "norm1", "neuron1", "pool1"),
        *("conv2", "norm2", "neuron2", "pool2"),
        *("flatten", "head"),
    ]


def test_the_tree_of_one_with_everything() -> None:
    model = scnn(
        input_shape=(2, 32, 32),
        dropouts=[0.1, 0],
        pool_sizes=[1, 2],
        separables=[False, True],
        fc_units=[9, 8],
        fc_dropouts=[0.5, 0.0],
        prepool=2,
        postpool=2,
    )
    assert names(model) == [
        "prepool",
        *("conv1", "norm1", "neuron1", "dropout1"),
        *("depthwise2", "depthwise_norm2", "depthwise_neuron2", "pointwise2", "norm2", "neuron2", "pool2"),
        "postpool",
        "flatten",
        *("fc1", "fc_neuron1", "fc_dropout1", "fc2", "fc_neuron2"),
        "head",
    ]
    assert isinstance(model.prepool, layer.AvgPool2d)
    assert isinstance(model.pool2, layer.MaxPool2d)
    assert (model.dropout1.p, model.fc_dropout1.p) == (0.1, 0.5)


def test_the_tree_with_a_global_sum() -> None:
    model = scnn(gsp=True, norm="none", separables=[True, False], pool_sizes=1)
    assert names(model) == [
        *("depthwise1", "depthwise_neuron1", "pointwise1", "neuron1"),
        *("conv2", "neuron2"),
        *("head", "head_neuron", "global_sum"),
    ]


def test_a_neuron_behind_the_head() -> None:
    assert names(scnn(head_neuron=True))[-3:] == ["flatten", "head", "head_neuron"]
    assert names(scnn(head_neuron=True, fc_units=[4]))[-4:] == ["fc1", "fc_neuron1", "head", "head_neuron"]


def test_several_neurons_vote_for_a_class() -> None:
    model = scnn(head_neuron=True, votes=3, neuron=nn.ReLU)
    assert names(model)[-3:] == ["head", "head_neuron", "vote"]
    x = torch.randn(6, 2, 12, 8)
    spikes = nn.Sequential(*list(model.children())[:-1])(x)
    assert spikes.shape == (6, 15)
    torch.testing.assert_close(model(x), spikes.reshape(6, 5, 3).mean(2))  # neighbours vote for one class
    assert MultiStep(4)(scnn(head_neuron=True, votes=3), x).shape == (4, 6, 5)


def test_average_pools_and_dropout_before_the_head() -> None:
    model = scnn(pool="avg", head_dropout=0.25, conv_bias=True)
    assert [type(module) for module in model if "Pool" in type(module).__name__] == [layer.AvgPool2d] * 2
    assert names(model)[-3:] == ["flatten", "head_dropout", "head"]
    assert model.head_dropout.p == 0.25
    assert size(model) == size(scnn()) + 4 + 6


def test_biases_only_without_a_norm() -> None:
    for norm in ("batch", "group", "none"):
        model = scnn(separables=[True, False], norm=norm, gsp=True)
        biases = {name for name, module in model.named_children() if getattr(module, "bias", None) is not None}
        convolutions = {"depthwise1", "pointwise1", "conv2"}
        assert biases & convolutions == (convolutions if norm == "none" else set())
        assert "head" in biases


@pytest.mark.parametrize("dims", [1, 2])
def test_dims_choose_the_layers(dims: int) -> None:
    shape = (2, 12, 8)[: dims + 1]
    model = scnn(input_shape=shape, dims=dims, prepool=2)
    kinds = [layer.AvgPool1d, layer.Conv1d, layer.BatchNorm1d, layer.MaxPool1d]
    if dims == 2:
        kinds = [layer.AvgPool2d, layer.Conv2d, layer.BatchNorm2d, layer.MaxPool2d]
    found = [type(model.get_submodule(name)) for name in ("prepool", "conv1", "norm1", "pool1")]
    assert found == kinds


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # 2-D, 12×8 → pool → 6×4 → pool → 3×2. conv: in · out · 3² (no bias), norm: 2 · out, head: in · K + K
        ({}, (2 * 4 * 9 + 2 * 4) + (4 * 6 * 9 + 2 * 6) + (6 * 3 * 2) * 5 + 5),
        # without batch norm: a bias for each filter
        ({"norm": "none"}, (2 * 4 * 9 + 4) + (4 * 6 * 9 + 6) + (6 * 3 * 2) * 5 + 5),
        # 1-D, 12 → 6 → 3: conv: in · out · 3
        ({"input_shape": (2, 12)}, (2 * 4 * 3 + 2 * 4) + (4 * 6 * 3 + 2 * 6) + (6 * 3) * 5 + 5),
        # separable: depthwise in · 3² + norm 2 · in, pointwise in · out + norm 2 · out
        (
            {"separables": True},
            (2 * 9 + 2 * 2 + 2 * 4 + 2 * 4) + (4 * 9 + 2 * 4 + 4 * 6 + 2 * 6) + (6 * 3 * 2) * 5 + 5,
        ),
        # separable without batch norm: biases in of the depthwise, out of the pointwise
        (
            {"separables": [False, True], "norm": "none"},
            (2 * 4 * 9 + 4) + (4 * 9 + 4 + 4 * 6 + 6) + (6 * 3 * 2) * 5 + 5,
        ),
        # global sum: 1×1 conv in · K + K, whatever the size
        ({"gsp": True}, (2 * 4 * 9 + 2 * 4) + (4 * 6 * 9 + 2 * 6) + 6 * 5 + 5),
        ({"gsp": True, "input_shape": (2, 40, 40)}, (2 * 4 * 9 + 2 * 4) + (4 * 6 * 9 + 2 * 6) + 6 * 5 + 5),
        # linear layers behind 6·3·2 inputs
        (
            {"fc_units": [7, 9], "dropouts": 0.1, "fc_dropouts": 0.2},
            (2 * 4 * 9 + 2 * 4) + (4 * 6 * 9 + 2 * 6) + (36 * 7 + 7) + (7 * 9 + 9) + (9 * 5 + 5),
        ),
        # prepool 2: 6×4; kernel 5, padding 2, stride 2: 3×2; pool 1; kernel 1, padding 0: 3×2; pool 2: 1×1; postpool 1
        (
            {"prepool": 2, "kernel_sizes": [5, 1], "paddings": [2, 0], "strides": [2, 1], "pool_sizes": [1, 2]},
            (2 * 4 * 25 + 2 * 4) + (4 * 6 * 1 + 2 * 6) + 6 * 5 + 5,
        ),
        # postpool 2: 12×8 → 6×4 → 3×2 → 1×1
        ({"postpool": 2}, (2 * 4 * 9 + 2 * 4) + (4 * 6 * 9 + 2 * 6) + 6 * 5 + 5),
        # a PLIF neuron has one parameter: separable 2 + plain 1 + linear 1
        (
            {"neuron": PLIF, "separables": [True, False], "fc_units": [7]},
            (2 * 9 + 2 * 2 + 2 * 4 + 2 * 4 + 2) + (4 * 6 * 9 + 2 * 6 + 1) + (36 * 7 + 7 + 1) + (7 * 5 + 5),
        ),
        # no convolution at all: linear on 2·12·8 inputs
        ({"filters": []}, 2 * 12 * 8 * 5 + 5),
    ],
)
def test_parameters_counted_on_paper(changes: dict[str, Any], expected: int) -> None:
    assert size(scnn(**changes)) == expected


@st.composite
def choices(draw: st.DrawFn) -> dict[str, Any]:
    """Settings that may fit or not, in 1-D or 2-D."""
    layers, shape = draw(st.integers(0, 3)), draw(st.lists(st.integers(1, 9), min_size=2, max_size=3))

    def each(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.one_of(values, st.lists(values, min_size=layers, max_size=layers)))

    def window(least: int, most: int) -> Any:
        number, axes = st.integers(least, most), len(shape) - 1
        entry = st.one_of(number, st.lists(number, min_size=axes, max_size=axes))
        return draw(st.one_of(number, st.lists(entry, min_size=layers, max_size=layers)))

    gsp = draw(st.booleans())
    return {
        "input_shape": shape,
        "classes": draw(st.integers(1, 3)),
        "filters": draw(st.lists(st.integers(1, 4), min_size=layers, max_size=layers)),
        "kernel_sizes": window(1, 4),
        "paddings": window(0, 2),
        "strides": window(1, 2),
        "pool_sizes": window(1, 2),
        "dropouts": each(st.sampled_from([0.0, 0.3])),
        "separables": each(st.booleans()),
        "fc_units": [] if gsp else draw(st.lists(st.integers(1, 4), max_size=2)),
        "gsp": gsp,
        "prepool": draw(st.integers(1, 2)),
        "postpool": draw(st.integers(1, 2)),
        "norm": draw(st.sampled_from(["batch", "none"])),
    }


@settings(max_examples=60)
@given(chosen=choices(), samples=st.integers(1, 3), steps=st.integers(1, 3))
def test_what_is_built_runs_and_what_is_refused_does_not_fit(chosen: dict[str, Any], samples: int, steps: int) -> None:
    try:
        model = scnn(**chosen).eval()
    except ConfigError as refused:
        assert "has a window of" in str(refused)  # noqa: PT017 - whether it is refused is hypothesis' choice
        return
    x = torch.randn(samples, *chosen["input_shape"])
    has_neurons = any(is_neuron(module) for module in model.modules())
    expected = (steps if has_neurons else 1, samples, chosen["classes"])
    for strategy in (SingleStep, MultiStep):
        assert strategy(steps)(model, x).shape == expected


def sizes(model: nn.Module, x: Tensor) -> dict[str, list[int]]:
    """What every child puts out in step mode 's', without N."""
    found: dict[str, list[int]] = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _m, _x, y, name=name: found.update({name: list(y.shape[1:])}))
    functional.set_step_mode(model, "s")
    model(x)
    return found


def test_sizes_of_layers_worked_out_by_hand() -> None:
    model = scnn(
        input_shape=(2, 33, 20),
        prepool=2,
        kernel_sizes=[5, 3],
        paddings=[0, 1],
        strides=[1, 2],
        separables=[False, True],
        pool_sizes=[2, 1],
        postpool=2,
        fc_units=[7],
    )
    found = sizes(model, torch.randn(1, 2, 33, 20))
    assert {name: found[name] for name in ("prepool", "conv1", "pool1", "depthwise2", "pointwise2", "postpool")} == {
        "prepool": [2, 16, 10],  # ⌊33/2⌋, ⌊20/2⌋
        "conv1": [4, 12, 6],  # 16 − 5 + 1, 10 − 5 + 1
        "pool1": [4, 6, 3],
        "depthwise2": [4, 3, 2],  # ⌊(6 + 2 − 3)/2⌋ + 1, ⌊(3 + 2 − 3)/2⌋ + 1
        "pointwise2": [6, 3, 2],
        "postpool": [6, 1, 1],
    }
    assert (found["flatten"], found["fc1"], found["head"]) == ([6], [7], [5])


def test_the_order_of_a_separable_layer_worked_out_by_hand() -> None:
    # One channel, one position; IF neurons, threshold 1, soft reset; weights 2, 3 and 1, the head's bias −0.5.
    # depthwise 2 · 0.375 = 0.75 at every step: h = 0.75, 1.5, 1.25, 1.0, 0.75    → spikes 0, 1, 1, 1, 0
    # pointwise 3 · spike:                      h = 0, 3, 2 + 3, 4 + 3, 6         → spikes 0, 1, 1, 1, 1 and v = 5
    # head 1 · spike − 0.5:                     h = −0.5, 0, 0.5, 1.0, 0.5        → spikes 0, 0, 0, 1, 0
    fire = partial(make_neuron, neuron.IFNode, surrogate.ATan, v_reset=None)
    model = scnn(
        input_shape=(1, 1), classes=1, neuron=fire, filters=[1], kernel_sizes=1, paddings=0, pool_sizes=1,
        separables=True, norm="none", gsp=True,
    )  # fmt: skip
    with torch.no_grad():
        for name, weight, bias in (("depthwise1", 2.0, 0.0), ("pointwise1", 3.0, 0.0), ("head", 1.0, -0.5)):
            module = model.get_submodule(name)
            module.weight.fill_(weight)
            module.bias.fill_(bias)
    for strategy in (SingleStep, MultiStep):
        assert strategy(5)(model, torch.tensor([[[0.375]]])).flatten().tolist() == [0, 0, 0, 1, 0]
        assert model.neuron1.v.item() == 5.0


def test_dropout_stays_the_same_through_all_timesteps() -> None:
    model = scnn(dropouts=0.5, norm="none").train()
    masks: list[Tensor] = []
    model.dropout1.register_forward_hook(lambda module, _x, _y: masks.append(module.mask))
    SingleStep(4)(model, torch.randn(2, 2, 12, 8))
    assert len(masks) == 4
    assert all(torch.equal(masks[0], mask) for mask in masks[1:])
    SingleStep(1)(model, torch.randn(2, 2, 12, 8))
    assert not torch.equal(masks[0], masks[-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kernel_sizes": [3], "pool_sizes": [2, 2, 2], "dropouts": [0.1, 0.2]},
            "(or one value for all layers): filters has 2, kernel_sizes has 1, pool_sizes has 3, dropouts has 2",
        ),
        ({"separables": [True]}, "filters has 2, separables has 1"),
        ({"fc_units": [8, 8], "fc_dropouts": [0.1]}, "fc_units has 2, fc_dropouts has 1"),
        ({"filters": [4] * 4, "paddings": 1}, "pool4 has a window of 2 but its input is only 1×1"),
        ({"kernel_sizes": [3, 7], "paddings": 0}, "conv2 has a window of 7 but its input is only 5×3"),
        ({"kernel_sizes": [3, 7], "separables": True}, "depthwise2 has a window of 7 but its input is only 6×4 with a"),
        ({"prepool": 9}, "prepool has a window of 9 but its input is only 12×8"),
        ({"postpool": 3}, "postpool has a window of 3 but its input is only 3×2"),
        ({"postpool": 0}, "postpool's kernel must be a whole number of at least 1, got 0"),
        ({"filters": [4, 0]}, "filters must be a whole number of at least 1, got 0"),
        ({"dropouts": 1.0}, "dropouts must be at least 0 and less than 1, got 1.0"),
        ({"fc_units": [4], "fc_dropouts": -0.1}, "fc_dropouts must be at least 0 and less than 1, got -0.1"),
        ({"gsp": True, "head_neuron": True}, "gsp has a neuron behind its head: leave head_neuron out"),
        ({"gsp": True, "fc_units": [4]}, "gsp has no linear layers: fc_units must be [], got [4]"),
        ({"dims": 1}, "dims=1 does not fit the data's shape [2, 12, 8]: dims=2"),
        ({"votes": 2}, "votes=2 are of neurons behind the head: add head_neuron=true"),
        ({"pool": "sum"}, "pool must be one of max, avg, got 'sum'"),
        ({"head_dropout": 1.0}, "head_dropout must be at least 0 and less than 1, got 1.0"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        scnn(**changes)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_are_left_as_they_came() -> None:
    given = {"filters": [4, 6], "kernel_sizes": [3, 3], "fc_units": [7]}
    model = scnn(**given)
    assert given == {"filters": [4, 6], "kernel_sizes": [3, 3], "fc_units": [7]}
    assert torch.equal(model.norm1.weight, torch.ones(4))
