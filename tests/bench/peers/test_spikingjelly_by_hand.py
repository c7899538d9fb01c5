"""SpikingJelly's nets compute what membrane's do, at all timesteps at once and one after the other."""

import pytest
import torch
from peer_nets import CPU, NETS, assert_computes_what_membrane_computes, assert_spikes_as_worked_out, peer_named, small
from spikingjelly.activation_based import neuron, surrogate

from membrane.bench.peers import spikingjelly_by_hand as by_hand
from membrane.bench.step import random_samples

MODES = ("SpikingJelly multi-step", "SpikingJelly single-step")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NETS)
def test_they_compute_what_membrane_computes(name: str, mode: str) -> None:
    assert_computes_what_membrane_computes(peer_named(mode), name)


@pytest.mark.parametrize("mode", MODES)
def test_a_neuron_alone(mode: str) -> None:
    assert_spikes_as_worked_out(peer_named(mode))


def test_neurons_are_those_of_the_workload() -> None:
    integrate, leaky = by_hand.spikingjelly_neuron("if"), by_hand.spikingjelly_neuron("lif")
    assert type(integrate) is neuron.IFNode
    assert type(leaky) is neuron.LIFNode
    assert (integrate.v_reset, leaky.v_reset, leaky.tau, leaky.decay_input) == (None, 0.0, 2.0, True)
    assert {type(each.surrogate_function) for each in (integrate, leaky)} == {surrogate.ATan}


def test_states_are_reset_before_each_forward_and_not_after() -> None:
    for build in (by_hand.spikingjelly_multistep, by_hand.spikingjelly_singlestep):
        workload = small("W4")
        torch.manual_seed(0)
        net, (x, _) = build(workload, CPU), random_samples(workload, CPU)
        first = net.forward(x)
        node = next(module for module in net.module.modules() if isinstance(module, neuron.LIFNode))
        assert isinstance(node.v, torch.Tensor)
        assert torch.equal(net.forward(x), first)
