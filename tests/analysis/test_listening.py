"""Hooks that come in pairs and leave no trace; observation that changes nothing."""

from typing import Any

import pytest
import torch
from spiking_nets import convolutional
from torch import nn

from membrane.analysis.listening import listening, observing
from membrane.framework import MultiStep


def test_every_output_arrives_with_its_name_and_layer_and_no_hook_stays() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    received: list[tuple[str, nn.Module, Any]] = []
    with listening({"first": net[0], "second": net[1]}, lambda *call: received.append(call)):
        output = net(torch.ones(1, 2))
    net(torch.ones(1, 2))
    assert [call[:2] for call in received] == [("first", net[0]), ("second", net[1])]
    assert received[1][2] is output
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_beginnings_and_ends_come_in_pairs_even_where_a_layer_raises() -> None:
    net = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    calls: list[tuple[str, str]] = []
    layers = {"model": net, "fails": net[1]}
    hooks = listening(layers, lambda name, *_: calls.append(("end", name)), lambda name: calls.append(("begin", name)))
    with hooks, pytest.raises(RuntimeError, match="shapes"):
        net(torch.ones(1, 3))
    assert calls == [("begin", "model"), ("begin", "fails"), ("end", "fails"), ("end", "model")]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_observing_restores_flags_and_random_state_and_resets_neurons() -> None:
    net = convolutional().train()
    net[1].eval()
    flags = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with observing(net):
        assert not any(module.training for module in net.modules())
        MultiStep(2)(net, torch.rand(3, 1, 5, 5))
        assert net[2].v.abs().sum() > 0
    assert torch.equal(torch.rand(2), expected)
    assert [module.training for module in net.modules()] == flags
    assert net[2].v == 0.0
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
