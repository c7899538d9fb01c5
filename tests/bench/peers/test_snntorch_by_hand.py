"""snnTorch's nets compute what membrane's do; their gradients are those of a detached reset."""

import pytest
import torch
from peer_nets import (
    NETS,
    assert_computes_what_membrane_computes,
    assert_spikes_as_worked_out,
    built,
    peer_named,
    settled,
    small,
)
from spikingjelly.activation_based import neuron

from membrane.bench.peers.net import copy_weights, weighted_layers

pytest.importorskip("snntorch")
from membrane.bench.peers import snntorch_by_hand as by_hand

SNNTORCH = peer_named("snnTorch")


@pytest.mark.parametrize("name", NETS)
def test_it_computes_what_membrane_computes(name: str) -> None:
    assert_computes_what_membrane_computes(SNNTORCH, name)


def test_a_neuron_alone() -> None:
    assert_spikes_as_worked_out(SNNTORCH)


def test_a_lif_neuron_alone_is_spikingjellys() -> None:
    x = 3 * torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    theirs, reference = by_hand.snntorch_neuron("lif"), neuron.LIFNode()
    theirs.reset_mem()
    spikes = torch.stack([theirs(frame) for frame in x])
    assert torch.equal(spikes, torch.stack([reference(frame) for frame in x]))
    assert 20 < spikes.sum() < 140


def test_gradients_of_snntorch_are_those_of_spikingjelly_with_a_detached_reset() -> None:
    for name in ("W2", "W4"):
        workload = small(name)
        source, x = settled(workload)
        net = built(SNNTORCH, workload)
        copy_weights(source.module, net.module)
        for module in source.module.modules():
            if isinstance(module, neuron.BaseNode):
                module.detach_reset = True
        gradients = []
        for each in (source, net):
            each.module.eval()  # in training the statistics are those of a step in the one, of all in the other
            each.forward(x).square().mean().backward()
            gradients.append([layer.weight.grad for layer in weighted_layers(each.module)])
        for our, their in zip(*gradients, strict=True):
            torch.testing.assert_close(their, our, atol=1e-5, rtol=1e-3)


def test_every_neuron_has_a_note_on_how_it_differs() -> None:
    assert set(by_hand.NOTES) == {workload.neuron for workload in NETS.values()}
