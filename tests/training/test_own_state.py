"""A user's own modules keep no state from one batch to the next, and an equation that is set on a neuron runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.training.assembly import build_learner


class Adapting(neuron.SimpleBaseNode):
    """An IF neuron whose threshold rises with each spike; it remembers its spikes as the field's codes often do."""

    registered = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.registered:
            self.register_memory("spikes", 0.0)
        else:
            self.spikes = 0.0

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.v + x

    def neuronal_fire(self) -> Tensor:
        spike: Tensor = self.surrogate_function(self.v - self.v_threshold - self.spikes)
        self.spikes = self.spikes + spike.detach().mean()
        return spike


class Registered(Adapting):
    registered = True


class Drawing(Adapting):
    """Fires at random, by torch's generator."""

    registered = True

    def neuronal_fire(self) -> Tensor:
        return self.surrogate_function(self.v - torch.rand_like(self.v))


class DrawingAlone(Drawing):
    def neuronal_fire(self) -> Tensor:
        if not hasattr(self, "generator"):
            self.generator = torch.Generator().manual_seed(0)
        return self.surrogate_function(self.v - torch.rand(self.v.shape, generator=self.generator))


class Unreset(neuron.LIFNode):
    def reset(self) -> None:
        """Forget nothing."""


class OldCase(neuron.LIFNode):
    """Overrides one of the cases that LIFNode distinguished in SpikingJelly 0.0.0.0.14."""

    @staticmethod
    def neuronal_charge_decay_input_reset0(x: Tensor, v: Tensor, tau: float) -> Tensor:
        return v + 3 * x


class Patched(nn.Sequential):
    """Gives a neuron of SpikingJelly's another equation, which it does not call."""

    base: type[nn.Module] = neuron.LIFNode

    def __init__(self, *, input_shape: Any, classes: int, timesteps: int, neuron: Callable[[], nn.Module]) -> None:
        super().__init__(layer.Flatten(), layer.Linear(torch.Size(input_shape).numel(), classes), self.base())
        self[2].neuronal_charge = lambda x: None


class PatchedSimple(Patched):
    """The same with a neuron that calls it."""

    base = neuron.SimpleIFNode

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self[2].neuronal_charge = lambda x: setattr(self[2], "v", self[2].v + 2 * x)


def learner(own: type[nn.Module], framework: str) -> Any:
    """What a command line builds with a class of this file as its model or its neuron."""
    group = "model" if issubclass(own, Patched) else "neuron"
    others = ["~model.filters"] if group == "model" else ["model=smlp"]
    target = f"{own.__module__}.{own.__qualname__}"
    return build_learner(
        configured(*others, f"{group}._target_={target}", f"trust=[{target}]", f"framework={framework}")
    )


@pytest.mark.parametrize("framework", ["singlestep", "multistep"])
@pytest.mark.parametrize("own", [Adapting, Unreset, DrawingAlone])
def test_state_that_crosses_batches_is_refused(own: type[nn.Module], framework: str) -> None:
    with pytest.raises(ConfigError, match=rf"neuron1 \({own.__name__}\): it puts out something else when the same"):
        learner(own, framework)


@pytest.mark.parametrize("own", [Registered, Drawing, PatchedSimple])
def test_state_that_is_reset_and_seeded_draws_are_not(own: type[nn.Module]) -> None:
    made, again = learner(own, "multistep"), learner(own, "singlestep")
    assert all(map(torch.equal, made.model.state_dict().values(), again.model.state_dict().values()))


@pytest.mark.parametrize(
    ("own", "line"),
    [
        (
            OldCase,
            r"neuron1 \(OldCase\): it overrides neuronal_charge_decay_input_reset0, which the forward of LIFNode",
        ),
        (Patched, r"2 \(LIFNode\): it overrides neuronal_charge, .*SimpleBaseNode, which calls neuronal_charge"),
    ],
)
@pytest.mark.parametrize("framework", ["singlestep", "multistep"])
def test_an_equation_that_is_not_called_is_refused(own: type[nn.Module], line: str, framework: str) -> None:
    with pytest.raises(ConfigError, match=line):
        learner(own, framework)
