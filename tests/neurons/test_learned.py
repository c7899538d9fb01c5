"""Which parameters of the neurons are time constants, which are thresholds, and which are neither: a list by hand."""

import torch
from configurations import configured
from spikingjelly.activation_based import neuron
from torch import nn

from membrane.neurons.learned import learned_thresholds, learned_time_constants
from membrane.schema.neuron import NEURONS
from membrane.training.assembly import build_neuron_factory

EXPECTED: dict[str, tuple[set[str], set[str], set[str]]] = {
    "plif": ({"w"}, set(), set()),
    "klif": (set(), set(), {"k"}),
    "glif": ({"tau"}, {"v_threshold"}, {"alpha", "beta", "gamma", "linear_decay", "v_subreset", "conduct"}),
    "psn": (set(), {"bias"}, {"weight"}),
    "masked_psn": (set(), {"bias"}, {"weight"}),
    "sliding_psn": (set(), {"bias"}, {"weight"}),
    "atif": (set(), {"v_threshold"}, set()),
    "ifsrl": (set(), {"v_threshold"}, set()),
    "adlif": ({"alpha", "beta"}, set(), {"a", "b"}),
    "se_adlif": ({"alpha", "beta"}, set(), {"a", "b"}),
    "mpbn_lif": (set(), set(), {"norm.weight", "norm.bias"}),
    "DSRIFNode": (set(), {"v_threshold"}, set()),
    "DSRLIFNode": (set(), {"v_threshold"}, set()),
}
"""Neuron → the names of its time constants, its thresholds and the rest of what it learns; all others learn nothing."""


def sorted_out(module: nn.Module) -> tuple[set[str], set[str], set[str]]:
    """The names of a module's time constants, thresholds and other parameters."""
    found = [{id(each) for each in find(module)} for find in (learned_time_constants, learned_thresholds)]
    named = {name: id(parameter) for name, parameter in module.named_parameters()}
    taus, thresholds = ({name for name, each in named.items() if each in ids} for ids in found)
    return taus, thresholds, set(named) - taus - thresholds


def test_what_each_neuron_learns() -> None:
    for node in NEURONS:
        name, chosen = node.choice, f"neuron={node.choice}"
        if not name:
            name = node.public.rpartition(".")[2]
            if name not in EXPECTED:
                continue
            chosen = f"neuron._target_={node.public}"
        learned = sorted_out(build_neuron_factory(configured(chosen))())
        assert learned == EXPECTED.get(name, (set(), set(), set())), name


def test_a_threshold_that_is_not_learned_is_none() -> None:
    assert not learned_thresholds(neuron.DSRIFNode(T=4, v_threshold_training=False))


class OwnLIF(neuron.ParametricLIFNode):
    """What it learns beside its base's time constant stands in a name of the class."""

    learned_time_constants = ("decay",)
    learned_thresholds = ("height", "v_threshold")

    def __init__(self) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.zeros(()))
        self.height = nn.Parameter(torch.ones(3))


def test_a_neuron_of_ones_own_names_them_in_its_class() -> None:
    assert sorted_out(nn.Sequential(OwnLIF())) == ({"0.w", "0.decay"}, {"0.height"}, set())
