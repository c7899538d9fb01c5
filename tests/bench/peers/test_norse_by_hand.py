"""Norse's nets compute what membrane's do with LIF neurons; its IF resets to zero."""

import pytest
import torch
from peer_nets import (
    CPU,
    NETS,
    assert_computes_what_membrane_computes,
    assert_spikes_as_worked_out,
    built,
    outputs,
    peer_named,
    settled,
    small,
)
from spikingjelly.activation_based import neuron

from membrane.bench.peers.net import copy_weights

pytest.importorskip("norse")
from membrane.bench.peers import norse_by_hand as by_hand

NORSE = peer_named("Norse")


@pytest.mark.parametrize("name", [name for name, workload in NETS.items() if workload.neuron == "lif"])
def test_it_computes_what_membrane_computes(name: str) -> None:
    assert_computes_what_membrane_computes(NORSE, name)


def test_a_neuron_alone() -> None:
    assert_spikes_as_worked_out(NORSE, hard_reset=True)


def test_the_if_of_norse_is_one_with_hard_reset() -> None:
    workload = small("W1")
    source, x = settled(workload)
    norse = built(NORSE, workload)
    copy_weights(source.module, norse.module)
    soft = outputs(source, x)
    for module in source.module.modules():
        if isinstance(module, neuron.IFNode):
            module.v_reset = 0.0
    hard = outputs(source, x)
    assert soft.sub(hard).abs().max() > 1e-3
    torch.testing.assert_close(outputs(norse, x), hard, atol=1e-5, rtol=1e-5)


def test_a_cell_is_spikingjellys_neuron_with_hard_reset() -> None:
    x = 3 * torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    for name, node in (("lif", neuron.LIFNode()), ("if", neuron.IFNode())):
        cell, state, spikes = by_hand.norse_cell(name, CPU), None, []
        for frame in x:
            spike, state = cell(frame, state)
            spikes.append(spike)
        assert torch.equal(torch.stack(spikes), torch.stack([node(frame) for frame in x])), name
        assert 20 < torch.stack(spikes).sum() < 140


def test_every_neuron_has_a_note_on_how_it_differs() -> None:
    assert set(by_hand.NOTES) == {workload.neuron for workload in NETS.values()}
