"""Recurrent layers: the same network under all four frameworks, and the feedback that the table promises."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.recurrence import make_recurrent
from membrane.neurons import is_neuron, make_neuron
from membrane.randomness import generator

N, T = 3, 4
Build = Callable[..., nn.Module]
SOFT = partial(make_neuron, neuron.IFNode, surrogate.ATan, v_reset=None)


@pytest.mark.product
@pytest.mark.parametrize("recurrent", ["elementwise", "lateral", "linear"])
@pytest.mark.parametrize("template", ["smlp", "scnn", "scnn_separable"])
@pytest.mark.parametrize("kind", ["if_soft", "plif_hard"])
def test_parity_in_all_four_frameworks(
    recurrent: str, template: str, kind: str, dims: int, build_lively: Build, shapes: Any
) -> None:
    model = build_lively(template, kind, dims, recurrent=recurrent).eval()
    plain = build_lively(template, kind, dims).eval()
    x = torch.randn(N, T, *shapes[dims], generator=generator(0, "data"))
    with torch.no_grad():
        multi = MultiStepTID(T)(model, x)
        assert (SingleStepTID(T)(model, x) - multi).abs().max() <= 1e-5
        assert (SingleStep(T)(model, x[:, 0]) - MultiStep(T)(model, x[:, 0])).abs().max() <= 1e-5
        assert torch.equal(MultiStepTID(T)(model, x), multi)  # nothing is left of the batch before
        assert not torch.allclose(MultiStepTID(T)(plain, x), multi, atol=1e-3)


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
def test_elementwise_feedback_worked_out_by_hand(strategy: Callable[[int], Any]) -> None:
    # IF, threshold 1, soft reset; input x[t] + y[t−1] with x = 0.5: h = 0.5, 1.0, then 0 + 0.5 + 1 = 1.5 at every step
    # (v: 0.5, 0; 0.5; 1.0): h = 0.5 | 1.0 | 0 + 1.5 | 0.5 + 1.5 | 1.0 + 1.5   → spikes 0 1 1 1 1, v = 1.5 in the end
    model = make_recurrent("elementwise", SOFT(), 1, 1)
    outputs = strategy(5)(model, torch.full((1, 5, 1, 1), 0.5))
    assert outputs.flatten().tolist() == [0, 1, 1, 1, 1]
    assert model.sub_module.v.item() == 1.5


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
@pytest.mark.parametrize("dims", [0, 1, 2])
def test_linear_feedback_is_the_matrix_it_says(strategy: Callable[[int], Any], dims: int) -> None:
    features, size = 3, {0: (), 1: (4,), 2: (2, 2)}[dims]
    model = make_recurrent("linear", SOFT(), dims, features).double()
    weight = next(p for name, p in model.named_parameters() if name.endswith("rc.weight"))
    bias = next(p for name, p in model.named_parameters() if name.endswith("rc.bias"))
    nn.init.normal_(weight, generator=generator(0, "weight"))
    assert weight.shape[:2] == (features, 2 * features)
    x = torch.randn(N, T, features, *size, generator=generator(0, "data"), dtype=torch.float64)
    y = v = torch.zeros(N, features, *size, dtype=torch.float64)
    expected: list[Tensor] = []
    for t in range(T):
        both = torch.cat([x[:, t], y], dim=1)
        h = v + torch.einsum("fg,ng...->nf...", weight.flatten(1), both) + bias.reshape(-1, *[1] * dims)
        y = (h >= 1).double()
        v = h - y
        expected.append(y)
    # the data of a framework have a channel and a position at least; features alone stand behind a flatten
    whole = nn.Sequential(layer.Flatten(), model) if dims == 0 else model
    outputs = strategy(T)(whole, x.unsqueeze(-1) if dims == 0 else x)
    assert 0.1 < torch.stack(expected).mean() < 0.9
    assert torch.equal(outputs, torch.stack(expected))


def test_gradients_flow_back_through_time(build_lively: Build, shapes: Any) -> None:
    model = build_lively("smlp", "if_soft", 1, recurrent="linear").double()
    x = torch.randn(N, T, *shapes[1], generator=generator(0, "data"), dtype=torch.float64)
    found = []
    for strategy in (SingleStepTID, MultiStepTID):
        model.zero_grad()
        strategy(T)(model, x)[-1].square().sum().backward()
        found.append(model.get_parameter("neuron1.rc.weight").grad.clone())
    assert found[0].abs().max() > 0
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-10)


def test_only_the_last_neuron_of_a_layer_is_recurrent(build: Build) -> None:
    model = build("scnn_separable", "if_soft", 2, recurrent="elementwise")
    neurons = [name for name, module in model.named_modules() if is_neuron(module)]
    assert neurons == ["neuron1.sub_module", "depthwise_neuron2", "neuron2.sub_module", "fc_neuron1.sub_module"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="recurrent must be one of none, elementwise, lateral, linear, got 'dense'"):
        make_recurrent("dense", SOFT(), 0, 3)
    assert is_neuron(make_recurrent("none", SOFT(), 0, 3))
