"""SpikingJelly's other neurons and surrogates, reached by configuration alone: they build, agree and train."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from configurations import configured

from membrane.errors import ConfigError
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.neurons import neuron_layers
from membrane.randomness import generator
from membrane.schema import GROUPS
from membrane.training.assembly import build_learner

FURTHER = {kind.public.rpartition(".")[2]: kind for kind in GROUPS["neuron"][1] if not kind.choice}
COUNTS = "spikingjelly.activation_based.surrogate.MultiLevelSpikeCount"
NEEDED = {
    "SimpleLIFNode": ["neuron.tau=2.0", "neuron.decay_input=true"],
    "DSRLIFNode": ["neuron.delta_t=1.0"],
    "ILIFNode": [f"surrogate._target_={COUNTS}", "surrogate.max_spike_count=3"],
}
N, T = 3, 4


def learner(*typed: str) -> Any:
    """What a command line builds."""
    return build_learner(configured("model=smlp", *typed))


@pytest.mark.parametrize("name", list(FURTHER))
def test_each_is_one_function_in_the_step_modes_that_it_has(name: str) -> None:
    typed = [f"neuron._target_={FURTHER[name].public}", *NEEDED.get(name, [])]
    if FURTHER[name].steps == "together":
        with pytest.raises(ConfigError, match=f"neuron {name} needs all timesteps together"):
            learner(*typed, "framework=singlestep")
    made = learner(*typed, "framework=multistep_tid")
    [layer] = neuron_layers(made.model).values()
    assert type(layer).__name__ == name
    x = 3 * torch.randn(N, T, 2, 16, 16, generator=generator(0, "data"))
    with torch.no_grad():
        multi = MultiStepTID(T)(made.model, x)
        assert multi.std(0).max() > 0.01
        if FURTHER[name].steps != "together":
            assert (SingleStepTID(T)(made.model, x) - multi).abs().max() <= 1e-5
    MultiStepTID(T)(made.model, x).square().sum().backward()
    weight = made.model.get_parameter("fc1.weight").grad
    assert weight is not None
    assert weight.abs().max() > 0


def test_several_spikes_at_once() -> None:
    ilif = FURTHER["ILIFNode"].public
    with pytest.raises(ConfigError, match="ILIFNode: surrogate_function must be a spiking MultiLevelSpikeCount"):
        learner(f"neuron._target_={ilif}")
    made = learner(f"neuron._target_={ilif}", *NEEDED["ILIFNode"])
    heard: list[torch.Tensor] = []
    [layer] = neuron_layers(made.model).values()
    layer.register_forward_hook(lambda _m, _x, output: heard.append(output))
    with torch.no_grad():
        made(20 * torch.rand(N, 1, 8, 8, generator=generator(0, "data")))
    assert set(heard[0].unique().tolist()) == {0, 1, 2, 3}


def test_what_is_not_on_the_list_needs_trust() -> None:
    with pytest.raises(ConfigError, match="not on membrane's list"):
        learner("neuron._target_=spikingjelly.activation_based.neuron.OTTTLIFNode")


def test_one_trains(small: Callable[..., int]) -> None:
    assert small(f"neuron._target_={FURTHER['TernaryLIFNode'].public}") == 0
