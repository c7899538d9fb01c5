"""Neurons: what counts as one, how one is built, and what it does over time, worked out by hand."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import base, layer, neuron, surrogate
from torch import Tensor, nn

from membrane import neurons
from membrane.errors import ConfigError
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.neurons import NeuronFactory, is_neuron, is_snn, make_neuron, neuron_layers
from membrane.neurons.surrogates import Boxcar, FastSigmoid, Slayer


class Derived(neuron.LIFNode):
    """Somebody's own variant of a neuron of SpikingJelly's."""


@pytest.mark.parametrize("kind", [neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, Derived])
def test_a_neuron_is_one_of_spikingjellys_or_inherits_from_one(kind: type[nn.Module]) -> None:
    assert is_neuron(kind())
    assert is_snn(nn.Sequential(nn.Linear(2, 2), nn.Sequential(kind())))


def test_a_neuron_of_ours_need_not_inherit_from_spikingjelly() -> None:
    ours = type("Ours", (nn.Module,), {"__module__": neurons.__name__})
    assert is_neuron(ours())
    namesake = type("Namesake", (nn.Module,), {"__module__": f"{neurons.__name__}_of_another_package"})
    assert not is_neuron(namesake())


def test_state_and_surrogates_alone_make_no_neuron() -> None:
    steps = (surrogate.ATan(), FastSigmoid(), Slayer(), Boxcar())
    others = (nn.ReLU(), layer.Dropout(0.5), layer.Linear(2, 2), layer.SynapseFilter(), *steps)
    assert not any(is_neuron(module) for module in others)
    assert not is_snn(nn.Sequential(*others))
    assert list(neuron_layers(nn.Sequential(neuron.LIFNode(surrogate_function=FastSigmoid())))) == ["0"]


def test_every_neuron_has_a_surrogate_object_of_its_own() -> None:
    made = [make_neuron(neuron.LIFNode, surrogate.ATan) for _ in range(3)]
    own = [one.surrogate_function for one in made]
    shared = neuron.LIFNode().surrogate_function
    assert len({id(one) for one in (*own, shared)}) == 4
    assert all(type(one) is surrogate.ATan for one in own)


def test_the_surrogate_keeps_its_parameters() -> None:
    made = make_neuron(neuron.IFNode, partial(surrogate.ATan, alpha=3.0))
    assert made.surrogate_function.alpha == 3.0


def test_parameters_are_left_as_they_came() -> None:
    parameters: dict[str, Any] = {"tau": 3, "v_threshold": 1, "v_reset": None}
    before = copy.deepcopy(parameters)
    made = make_neuron(neuron.LIFNode, surrogate.ATan, **parameters)
    assert parameters == before
    assert (made.tau, made.v_threshold, made.v_reset) == (3.0, 1.0, None)
    assert isinstance(made.tau, float)
    assert isinstance(made.v_threshold, float)


def test_the_anns_activation_takes_no_surrogate() -> None:
    made = make_neuron(nn.ReLU, None)
    assert type(made) is nn.ReLU
    assert not is_snn(made)
    with pytest.raises(ConfigError, match="ReLU has no surrogate gradient"):
        make_neuron(nn.ReLU, surrogate.ATan)


def test_a_neuron_that_passes_no_surrogate_to_its_base_is_told_how() -> None:
    class WithoutSettings(neuron.SimpleBaseNode):
        def __init__(self, tau: float = 2.0) -> None:
            super().__init__()

    with pytest.raises(
        ConfigError, match=r"^WithoutSettings's constructor takes no surrogate_function: add \*\*settings"
    ):
        make_neuron(WithoutSettings, surrogate.ATan)


@pytest.mark.parametrize(
    ("kind", "said", "message"),
    [
        (neuron.LIFNode, {"tau": 1.0}, "LIFNode: tau=1.0 must be greater than 1"),
        (neuron.LIFNode, {"tau": 0}, "LIFNode: tau=0 must be greater than 1"),
        (neuron.ParametricLIFNode, {"init_tau": 1}, "ParametricLIFNode: init_tau=1 must be greater than 1"),
        (neuron.IFNode, {"v_reset": False}, "IFNode: v_reset=False must be a number, or null for a soft reset"),
        (neuron.IFNode, {"v_threshold": True}, "IFNode: v_threshold=True must be a number"),
        (neuron.IFNode, {"v_threshold": None}, "IFNode: v_threshold=None must be a number"),
        (neuron.IFNode, {"v_threshold": "1"}, "IFNode: v_threshold=1 must be a number"),
        (neuron.IFNode, {"v_threshold": math.nan}, "IFNode: v_threshold=nan must be a number"),
        (neuron.LIFNode, {"decay_input": 1}, "LIFNode: decay_input=1 must be true or false"),
        (neuron.LIFNode, {"detach_reset": None}, "LIFNode: detach_reset=None must be true or false"),
        (neuron.IFNode, {"tau": 2.0}, "IFNode: tau=2.0: no such parameter, there are v_threshold, v_reset,"),
        (nn.ReLU, {"v_threshold": 1.0}, "ReLU: v_threshold=1.0: no such parameter, there are inplace"),
    ],
)
def test_what_a_neuron_does_not_accept_is_said_in_one_line(
    kind: type[nn.Module], said: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make_neuron(kind, None if kind is nn.ReLU else surrogate.ATan, **said)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_assertions_of_other_neurons_are_said_too() -> None:
    class Odd(neuron.IFNode):
        def __init__(self, k: int = 1, **settings: Any) -> None:
            assert k > 0
            super().__init__(**settings)

    assert make_neuron(Odd, None, v_threshold=2.0).v_threshold == 2.0
    with pytest.raises(ConfigError, match=r"Odd does not accept k=-1"):
        make_neuron(Odd, None, k=-1)


def test_surrogates_that_would_fail_later_are_refused_now() -> None:
    with pytest.raises(ConfigError, match=r"LIFNode needs a surrogate gradient, such as surrogate=atan"):
        make_neuron(neuron.LIFNode, None)
    with pytest.raises(ConfigError, match=r"surrogate must be one of SpikingJelly's surrogate gradients, got 'atan'"):
        make_neuron(neuron.LIFNode, lambda: "atan")
    with pytest.raises(TypeError, match=r"shared by all neurons"):
        make_neuron(neuron.LIFNode, surrogate.ATan())


# Traces by hand. Threshold 1, x [T] for one neuron; h is the potential before the spike, v after it. A spike: h ≥ 1.
#
# IF: h = v + x.                               x       0.5   0.75  0.25  1.5   0.25
#   hard reset to 0                            h       0.5   1.25  0.25  1.75  0.25
#                                              v       0.5   0     0.25  0     0.25
#   soft reset, v = h − 1                      h       0.5   1.25  0.5   2.0   1.25
#                                              v       0.5   0.25  0.5   1.0   0.25
#   hard reset to −0.5, where v starts too     h       0     0.75  1.0   1.0   −0.25
#                                              v       0     0.75  −0.5  −0.5  −0.25
# LIF, τ = 2, input decays: h = v + (x − v)/2. x       1.5   1.5   3.0   0.5   2.0
#   hard reset to 0                            h       0.75  1.125 1.5   0.25  1.125
#                                              v       0.75  0     0     0.25  0
#   soft reset                                 h       0.75  1.125 1.5625 0.53125 1.265625
#                                              v       0.75  0.125 0.5625 0.53125 0.265625
#   reset to −0.5: h = v + (x − (v + 0.5))/2   h       0.25  0.625 1.5625 −0.25 0.625
#     v starts at −0.5                         v       0.25  0.625 −0.5  −0.25 0.625
# LIF, τ = 4, input does not: h = v − v/4 + x. x       0.5   0.75  1.0   0.25  0.5
#   hard reset to 0                            h       0.5   1.125 1.0   0.25  0.6875
#                                              v       0.5   0     0     0.25  0.6875
#   soft reset                                 h       0.5   1.125 1.09375 0.3203125 0.740234375
#                                              v       0.5   0.125 0.09375 0.3203125 0.740234375
#   reset to −0.5: h = v − (v + 0.5)/4 + x     h       0     0.625 1.34375 −0.25 0.1875
#     v starts at −0.5                         v       0     0.625 −0.5  −0.25 0.1875
# PLIF: LIF with 1/τ = sigmoid(w), w = −ln(τ − 1) at start, hence the same numbers.
IF_X = [0.5, 0.75, 0.25, 1.5, 0.25]
DECAYED_X = [1.5, 1.5, 3.0, 0.5, 2.0]
UNDECAYED_X = [0.5, 0.75, 1.0, 0.25, 0.5]
Trace = tuple[list[float], list[int], list[float]]
LEAKY: list[tuple[dict[str, Any], Trace]] = [
    ({"tau": 2, "v_reset": 0}, (DECAYED_X, [0, 1, 1, 0, 1], [0.75, 0, 0, 0.25, 0])),
    ({"tau": 2, "v_reset": None}, (DECAYED_X, [0, 1, 1, 0, 1], [0.75, 0.125, 0.5625, 0.53125, 0.265625])),
    ({"tau": 2, "v_reset": -0.5}, (DECAYED_X, [0, 0, 1, 0, 0], [0.25, 0.625, -0.5, -0.25, 0.625])),
    ({"tau": 4, "decay_input": False, "v_reset": 0}, (UNDECAYED_X, [0, 1, 1, 0, 0], [0.5, 0, 0, 0.25, 0.6875])),
    (
        {"tau": 4, "decay_input": False, "v_reset": None},
        (UNDECAYED_X, [0, 1, 1, 0, 0], [0.5, 0.125, 0.09375, 0.3203125, 0.740234375]),
    ),
    (
        {"tau": 4, "decay_input": False, "v_reset": -0.5},
        (UNDECAYED_X, [0, 0, 1, 0, 0], [0, 0.625, -0.5, -0.25, 0.1875]),
    ),
]
TRACES: list[tuple[type[nn.Module], dict[str, Any], Trace]] = [
    (neuron.IFNode, {"v_reset": 0}, (IF_X, [0, 1, 0, 1, 0], [0.5, 0, 0.25, 0, 0.25])),
    (neuron.IFNode, {"v_reset": None}, (IF_X, [0, 1, 0, 1, 1], [0.5, 0.25, 0.5, 1.0, 0.25])),
    (neuron.IFNode, {"v_reset": -0.5}, (IF_X, [0, 0, 1, 1, 0], [0, 0.75, -0.5, -0.5, -0.25])),
    *((neuron.LIFNode, said, trace) for said, trace in LEAKY),
    *(
        (
            neuron.ParametricLIFNode,
            {"init_tau" if name == "tau" else name: value for name, value in said.items()},
            trace,
        )
        for said, trace in LEAKY
    ),
]


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
@pytest.mark.parametrize(("kind", "said", "trace"), TRACES)
def test_spikes_and_potentials_equal_those_worked_out_by_hand(
    kind: type[nn.Module], said: dict[str, Any], trace: Trace, strategy: Callable[[int], Any]
) -> None:
    x, spikes, potentials = trace
    model = make_neuron(kind, surrogate.ATan, **said)
    for steps in range(1, len(x) + 1):
        outputs = strategy(steps)(model, as_data(x[:steps]))
        assert outputs.flatten().tolist() == spikes[:steps]
        assert model.v.item() == pytest.approx(potentials[steps - 1], abs=1e-6)


# The same x at each step. LIF, τ = 2, hard reset, x = 1.5: h = 0.75, 1.125 ⇒ v = 0, and so on: every second step.
# IF, soft reset, x = 0.75: h = 0.75, 1.5, 1.25, 1.0, 0.75: v = 0.75, 0.5, 0.25, 0, 0.75. PLIF as LIF.
@pytest.mark.parametrize("strategy", [SingleStep, MultiStep])
@pytest.mark.parametrize(
    ("kind", "said", "x", "spikes", "potential"),
    [
        (neuron.LIFNode, {"tau": 2}, 1.5, [0, 1, 0, 1, 0], 0.75),
        (neuron.ParametricLIFNode, {"init_tau": 2}, 1.5, [0, 1, 0, 1, 0], 0.75),
        (neuron.IFNode, {"v_reset": None}, 0.75, [0, 1, 1, 1, 0], 0.75),
    ],
)
def test_the_same_input_at_every_step(
    kind: type[nn.Module],
    said: dict[str, Any],
    x: float,
    spikes: list[int],
    potential: float,
    strategy: Callable[[int], Any],
) -> None:
    model = make_neuron(kind, surrogate.ATan, **said)
    outputs = strategy(5)(model, torch.tensor([[x]]))
    assert outputs.shape == (5, 1, 1)
    assert outputs.flatten().tolist() == spikes
    assert model.v.item() == pytest.approx(potential)


@pytest.mark.parametrize("strategy", [SingleStep, MultiStep])
def test_gradient_of_one_step_is_the_surrogates(strategy: Callable[[int], Any]) -> None:
    # ATan: d spike/d x = (α/2) / (1 + (π α (h − 1)/2)²), with h = x for IF in its first step.
    x = torch.tensor([[0.25, 0.75, 1.5]], dtype=torch.float64, requires_grad=True)
    strategy(1)(make_neuron(neuron.IFNode, partial(surrogate.ATan, alpha=3.0)), x).sum().backward()
    expected = [1.5 / (1 + (math.pi * 3.0 / 2 * (h - 1)) ** 2) for h in (0.25, 0.75, 1.5)]
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx(expected)


def as_data(x: list[float]) -> Tensor:
    """x [T] → [N=1,T,C=1,S=1]."""
    return torch.tensor(x).reshape(1, -1, 1, 1)


def test_what_is_no_neuron_is_refused_in_a_neurons_place() -> None:
    class Stateful(base.MemoryModule):
        """Has the methods, but nothing tells it from another layer with a state."""

    factory = NeuronFactory(Stateful, None, {}, timesteps=4, seed=0)
    with pytest.raises(ConfigError, match="Stateful is no neuron: it must inherit from one of SpikingJelly's"):
        factory()
    assert isinstance(NeuronFactory(nn.ReLU, None, {}, timesteps=4, seed=0, spiking=False)(), nn.ReLU)


class Dropping(neuron.LIFNode):
    """Takes any setting, and passes two of them on."""

    def __init__(self, tau: float = 2.0, surrogate_function: Any = None, **settings: Any) -> None:
        super().__init__(tau, surrogate_function=surrogate_function)


class Scaling(neuron.LIFNode):
    """Passes all settings on, and changes what it made of them."""

    def __init__(self, gain: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.v_threshold = gain * self.v_threshold


class Needing(neuron.LIFNode):
    """Computes its threshold from a setting that it has no default for."""

    def __init__(self, **settings: Any) -> None:
        rate = settings.pop("v_threshold")
        super().__init__(v_threshold=2 * rate, **settings)


@pytest.mark.parametrize("setting", [{"v_threshold": 0.5}, {"v_reset": None}, {"decay_input": False}])
def test_a_setting_that_a_constructor_drops_is_refused(setting: dict[str, Any]) -> None:
    [(name, value)] = setting.items()
    line = f"Dropping drops {name}={value}, which its constructor receives: pass it on to the base, or leave neuron"
    with pytest.raises(ConfigError, match=line):
        make_neuron(Dropping, surrogate.ATan, tau=3.0, **setting)


def test_settings_that_a_constructor_uses_in_its_own_way_are_not_dropped() -> None:
    assert make_neuron(Dropping, surrogate.ATan, tau=3.0, v_threshold=1.0, decay_input=True).tau == 3  # the defaults
    assert make_neuron(Scaling, surrogate.ATan, gain=2.0, v_threshold=1.0).v_threshold == 2
    assert make_neuron(Scaling, surrogate.ATan, gain=2.0, v_threshold=0.5).v_threshold == 1
    assert make_neuron(Needing, surrogate.ATan, v_threshold=0.3).v_threshold == 0.6
