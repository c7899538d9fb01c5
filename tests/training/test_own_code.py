"""A user's own modules: their equations run as they are written, or the configuration is refused in a line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import base, functional, layer, neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.fast.fused import fuse
from membrane.framework import MultiStep, SingleStep
from membrane.models.own_time import OwnsTime
from membrane.randomness import generator
from membrane.training.assembly import build_learner

FRAMEWORKS = ("singlestep", "multistep")
SIMPLE = "spikingjelly.activation_based.neuron.SimpleBaseNode"


class ChargeLIF(neuron.LIFNode):
    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + 3 * x


class OldLIF(neuron.BaseNode):
    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + (x - self.v) / 2


class FireIF(neuron.IFNode):
    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - 1.5 * self.v_threshold)


class ResetPLIF(neuron.ParametricLIFNode):
    @torch.no_grad()
    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - 0.5 * spike


class HardIF(neuron.IFNode):
    @staticmethod
    def apply_hard_reset(v: Tensor, spike: Tensor, v_reset: float) -> Tensor:
        return v - 0.5 * spike


class Inherited(FireIF):
    """Adds nothing to a class that is refused."""


class Logged(FireIF):
    """Its own forward is called, and calls the forward of IFNode."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class StepLIF(neuron.LIFNode):
    """In multi-step mode LIFNode runs a kernel of its own."""

    def single_step_functional_forward(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        return super().single_step_functional_forward((2 * inputs[0],), states, **kwargs)


class SequenceLIF(neuron.LIFNode):
    def multi_step_functional_forward(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        return super().multi_step_functional_forward((2 * inputs[0],), states, **kwargs)


class BothLIF(StepLIF, SequenceLIF):
    """A forward of its own for each step mode."""


class OwnStep(neuron.BaseNode):
    """BaseNode repeats the single step in multi-step mode."""

    def single_step_functional_forward(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        v = states[0] + 2 * inputs[0]
        spike = self.surrogate_function(v - self.v_threshold)
        return (spike,), (self.apply_hard_reset(v, spike, self.v_reset),)


class HighLIF(neuron.SimpleBaseNode):
    """LIF with τ = 2 that fires at one and a half times its threshold."""

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + (x - self.v) / 2

    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - 1.5 * self.v_threshold)


class Sometimes(neuron.SimpleBaseNode):
    """An IF neuron that resets only when something fires, which need not happen in a rehearsal."""

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + x

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.neuronal_charge(x)
        spike = self.neuronal_fire()
        if spike.sum() > 1e6:
            self.neuronal_reset(spike)
        return spike

    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = 0 * self.v


class WholeDropout(layer.Dropout):
    """A layer that changes what a single step does, and in multi-step mode keeps the base's function."""

    def single_step_forward(self, x: Tensor) -> Tensor:
        return x


class Net(nn.Sequential):
    """[N,C,…] → [N,K] or [T,N,C,…] → [T,N,K]."""

    def __init__(self, *, input_shape: Any, classes: int, timesteps: int, neuron: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.add_module("flatten", layer.Flatten())
        self.add_module("fc", layer.Linear(torch.Size(input_shape).numel(), 8))
        self.add_module("neuron", neuron())
        self.add_module("head", layer.Linear(8, classes))


class Dropping(Net):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.append(WholeDropout())


class Switching(Net):
    """Runs a layer in a step mode of its own choice."""

    def forward(self, x: Tensor) -> Tensor:
        functional.set_step_mode(self.neuron, "m" if self.neuron.step_mode == "s" else "s")  # type: ignore[arg-type]
        return super().forward(x)  # type: ignore[no-any-return]


class Restoring(Net):
    """Runs a layer step by step, and leaves its step mode as it was."""

    def forward(self, x: Tensor) -> Tensor:
        mode = self.neuron.step_mode
        functional.set_step_mode(self.neuron, "s")  # type: ignore[arg-type]
        functional.set_step_mode(self.neuron, mode)  # type: ignore[arg-type]
        return super().forward(x)  # type: ignore[no-any-return]


class Stubborn(nn.Linear, base.StepModule):
    """Multi-step whatever it is told."""

    @property
    def step_mode(self) -> str:
        return "m"

    @step_mode.setter
    def step_mode(self, value: str) -> None:
        pass


class WithStubborn(Net):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.head = Stubborn(8, given["classes"])


class OwnTime(OwnsTime, nn.Module):
    """Runs its layers on sequences, one of them in the step mode that SpikingJelly gives it: single-step."""

    def __init__(self, *, input_shape: Any, classes: int, timesteps: int, neuron: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(layer.Flatten(2), nn.Linear(torch.Size(input_shape).numel(), classes), neuron())

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        outputs: Tensor = self.layers(x_seq)
        return outputs


class AllOwnTime(OwnTime):
    """The same with all layers in multi-step mode."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        functional.set_step_mode(self.layers, "m")

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        outputs: Tensor = self.layers[1:](x_seq.flatten(2))
        return outputs


class CompiledStep(neuron.BaseNode):
    """What runs is not the function as it is written, but torch's version of it."""

    @torch.compile(backend="eager")
    def single_step_functional_forward(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        v = states[0] + 2 * inputs[0]
        spike = self.surrogate_function(v - self.v_threshold)
        return (spike,), (self.apply_hard_reset(v, spike, self.v_reset),)


class Spare(Net):
    """Holds a neuron that it never runs."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.kept = [FireIF()]
        self.spare = nn.ModuleList([FireIF()])

    def forward(self, x: Tensor) -> Tensor:
        for name in ("flatten", "fc", "neuron", "head"):
            x = self.get_submodule(name)(x)
        return x


class Failing(Net):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("mine")


class Keywords(neuron.LIFNode):
    """Leaves its settings to its base."""

    def __init__(self, gain: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.gain = gain


class KeywordsTwice(Keywords):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


class KeywordsPSN(neuron.PSN):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)


class OwnSurrogate(neuron.LIFNode):
    def __init__(self, **settings: Any) -> None:
        super().__init__(surrogate_function=surrogate.ATan(), **settings)


class NoSurrogate(neuron.LIFNode):
    def __init__(self, **settings: Any) -> None:
        settings.pop("surrogate_function", None)
        super().__init__(**settings)


def learner(own: type[nn.Module], *typed: str) -> Any:
    """What a command line builds with a class of this file as its model or its neuron."""
    group = "model" if issubclass(own, Net | OwnsTime) else "neuron"
    others = ["~model.filters"] if group == "model" else ["model=smlp"]
    target = f"{own.__module__}.{own.__qualname__}"
    return build_learner(configured(*others, f"{group}._target_={target}", f"trust=[{target}]", *typed))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    ("own", "method", "parent"),
    [
        (ChargeLIF, "neuronal_charge", "LIFNode"),
        (FireIF, "neuronal_fire", "IFNode"),
        (ResetPLIF, "neuronal_reset", "ParametricLIFNode"),
        (Inherited, "neuronal_fire", "IFNode"),
        (Logged, "neuronal_fire", "IFNode"),
    ],
)
def test_an_equation_that_never_runs_is_refused(own: type[nn.Module], method: str, parent: str, framework: str) -> None:
    with pytest.raises(ConfigError) as refused:
        learner(own, f"framework={framework}")
    line = str(refused.value)
    assert line.startswith(f"neuron1 ({own.__name__}): it overrides {method}, which the forward of {parent} does not")
    assert f"inherit from {SIMPLE}" in line
    assert "\n" not in line


def test_a_reset_that_never_runs_is_refused() -> None:
    with pytest.raises(ConfigError, match="it overrides apply_hard_reset, which the forward of IFNode does not call"):
        learner(HardIF)


@pytest.mark.parametrize(
    ("own", "runs", "other", "words"),
    [
        (
            StepLIF,
            "singlestep",
            "multistep",
            "single_step_functional_forward, .* in multi-step mode: override multi_step",
        ),
        (
            SequenceLIF,
            "multistep",
            "singlestep",
            "multi_step_functional_forward, .* in single-step mode: override single",
        ),
    ],
)
def test_a_step_mode_that_runs_the_base_alone_is_refused(
    own: type[nn.Module], runs: str, other: str, words: str
) -> None:
    learner(own, f"framework={runs}")
    with pytest.raises(ConfigError, match=words):
        learner(own, f"framework={other}")


def test_a_layer_whose_step_never_runs_is_refused() -> None:
    learner(Dropping, "framework=singlestep")
    with pytest.raises(ConfigError, match=r"4 \(WholeDropout\): it overrides single_step_forward"):
        learner(Dropping, "framework=multistep")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("own", [BothLIF, OwnStep, HighLIF, Sometimes, Spare, Restoring, AllOwnTime, CompiledStep])
def test_what_runs_is_accepted(own: type[nn.Module], framework: str, caplog: pytest.LogCaptureFixture) -> None:
    built = learner(own, f"framework={framework}")
    assert any(isinstance(module, own) for module in built.model.modules())
    assert "own modules were not checked" not in caplog.text


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("fused", ["true", "false"])
def test_equations_on_the_simple_base_run_in_both_modes(framework: str, fused: str) -> None:
    """A LIF that fires at 1.5 times a threshold of 1 is SpikingJelly's LIF of threshold 1.5."""
    typed = (f"framework={framework}", f"trainer.fused={fused}")
    own = learner(HighLIF, *typed)
    twins = [build_learner(configured("model=smlp", f"neuron.v_threshold={v}", *typed)) for v in (1.5, 1.0)]
    assert fuse(own.model) == []
    x = 6 * torch.rand(16, 1, 8, 8, generator=generator(0, "data"))
    found, [high, low] = own(x), [twin(x) for twin in twins]
    assert (found - high).abs().max() <= 1e-6
    assert (found - low).abs().max() > 0.01
    gradients = []
    for each in (own, twins[0]):
        each.framework(each.model, x).square().sum().backward()
        gradients.append(each.model.get_parameter("fc1.weight").grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_forward_that_sets_a_step_mode_is_refused(framework: str) -> None:
    with pytest.raises(ConfigError, match=r"^neuron \(LIFNode\): a forward turns its step_mode '.' into '.'"):
        learner(Switching, f"framework={framework}")
    with pytest.raises(ConfigError, match=r"^head \(Stubborn\): step_mode stays 'm' when it is set to 's'"):
        learner(WithStubborn, f"framework={framework}")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_model_that_owns_time_with_a_layer_in_single_step_mode_is_refused(framework: str) -> None:
    with pytest.raises(ConfigError, match=r"^layers\.0 \(Flatten\): step_mode is 's' in a model that runs all of its"):
        learner(OwnTime, f"framework={framework}")


def test_a_neuron_on_the_base_of_older_versions_is_refused() -> None:
    with pytest.raises(ConfigError, match=rf"^OldLIF must implement single_step_\w+, or inherit from {SIMPLE}, which"):
        learner(OldLIF)


def test_a_model_that_fails_is_left_to_the_run_and_a_line_says_that_it_was_not_checked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing = learner(Failing)
    assert caplog.messages == ["own modules were not checked for methods that never run: mine"]
    with pytest.raises(RuntimeError, match="mine"):
        failing(torch.rand(2, 1, 8, 8))


def test_the_rehearsal_leaves_no_trace() -> None:
    made = learner(HighLIF)
    [fresh] = [module for module in made.model.modules() if isinstance(module, HighLIF)]
    assert fresh.v == 0
    assert not any(module._forward_pre_hooks for module in made.model.modules())
    state = torch.get_rng_state()
    again = learner(HighLIF)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, made.model.state_dict().values(), again.model.state_dict().values()))


@pytest.mark.parametrize("own", [Keywords, KeywordsTwice])
def test_a_constructor_with_keywords_takes_what_its_base_takes(own: type[nn.Module]) -> None:
    made = learner(own, "neuron.tau=3", "neuron.v_reset=null", "+neuron.gain=2", "surrogate=atan", "surrogate.alpha=3")
    [node] = [module for module in made.model.modules() if isinstance(module, own)]
    assert (node.tau, node.v_reset, node.gain) == (3.0, None, 2.0)
    assert isinstance(node.tau, float)
    assert isinstance(node.surrogate_function, surrogate.ATan)
    assert node.surrogate_function.alpha == 3
    x = 3 * torch.rand(4, 1, 8, 8, generator=generator(0, "data"))
    twin = build_learner(configured("model=smlp", "neuron.tau=3", "neuron.v_reset=null"))
    assert torch.equal(made(x), twin(x))
    with pytest.raises(ConfigError, match=f"{own.__name__}: tua=3: no such parameter, there are .*tau.*gain"):
        learner(own, "+neuron.tua=3")
    with pytest.raises(ConfigError, match=f"{own.__name__}: tau=1.0 must be greater than 1"):
        learner(own, "neuron.tau=1.0")


def test_keywords_pass_on_the_number_of_timesteps() -> None:
    made = learner(KeywordsPSN, "timesteps=3")
    assert MultiStep(3)(made.model, torch.rand(2, 1, 8, 8)).shape == (3, 2, 10)  # type: ignore[union-attr]


def test_a_surrogate_that_is_not_used_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"OwnSurrogate sets surrogate_function itself, .*: leave out surrogate"):
        learner(OwnSurrogate)
    made = learner(OwnSurrogate, "~surrogate")
    assert SingleStep(4)(made.model, torch.rand(2, 1, 8, 8)).shape == (4, 2, 10)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="NoSurrogate drops the surrogate gradient that its constructor receives"):
        learner(NoSurrogate)


def test_a_command_line_is_refused_before_a_run_begins(membrane: Callable[..., int], tmp_path: Path) -> None:
    target = f"{FireIF.__module__}.FireIF"
    assert membrane("model=smlp", f"neuron._target_={target}", f"trust=[{target}]", "logger=csv") == 2
    assert not (tmp_path / "runs").exists()
