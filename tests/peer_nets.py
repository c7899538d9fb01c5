"""Peers' nets small enough for a test, for tests: built, made to spike, and run."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from membrane.bench.peers import PEERS, Peer
from membrane.bench.peers.net import Net, copy_weights, weighted_layers
from membrane.bench.step import random_samples
from membrane.bench.workloads import WORKLOADS, Workload

CPU = torch.device("cpu")
NETS = {each.name: each for each in WORKLOADS if each.classes}


def peer_named(name: str) -> Peer:
    """Return the peer of a name."""
    return next(peer for peer in PEERS if peer.name == name)


def small(name: str) -> Workload:
    """Return a workload narrow enough for a test."""
    return replace(NETS[name].scaled(0.125), timesteps=4)


def neuron_alone() -> Workload:
    """Return the workload of a layer of IF neurons alone, small."""
    return replace(next(each for each in WORKLOADS if not each.classes), shape=(2, 3, 3), batch=2)


def built(peer: Peer, workload: Workload) -> Net:
    """Build a peer's net; skip the test if its library is not installed."""
    if not peer.is_installed():
        pytest.skip(f"{peer.library} is not installed")
    torch.manual_seed(1)
    return peer.build(workload, CPU)


def settled(workload: Workload) -> tuple[Net, Tensor]:
    """Return membrane's net with weights that make it spike and statistics that it has measured, and an input."""
    net, (x, _) = built(PEERS[0], workload), random_samples(workload, CPU)
    for layer in weighted_layers(net.module)[:-1]:
        assert isinstance(layer.weight, Tensor)
        nn.init.normal_(layer.weight, 2.0 if layer.weight.dim() == 1 else 0.0, 0.3)
        if hasattr(layer, "momentum"):
            layer.momentum = None  # statistics are means over all forwards
    with torch.no_grad():
        for _ in range(5):
            net.forward(x)
    return net, x


def outputs(net: Net, x: Tensor) -> Tensor:
    """Run a net in eval mode on x [N,…] or [N,T,…] → [T,N,K]."""
    net.module.eval()
    with torch.no_grad():
        return net.forward(net.arrange(x))


def assert_computes_what_membrane_computes(peer: Peer, name: str) -> None:
    """Compare a peer's net with membrane's on the same weights, twice: no state may be left over."""
    workload = small(name)
    source, x = settled(workload)
    net = built(peer, workload)
    copy_weights(source.module, net.module)
    expected = outputs(source, x)
    assert expected.shape == (workload.timesteps, workload.batch, workload.classes)
    assert expected[0].ne(expected[-1]).any()  # time matters: neurons spike
    for _ in range(2):
        torch.testing.assert_close(outputs(net, x), expected, atol=1e-5, rtol=1e-5)


def assert_spikes_as_worked_out(peer: Peer, hard_reset: bool = False) -> None:
    """Compare IF neurons alone with their equation, step by step."""
    workload = neuron_alone()
    net, (x, _) = built(peer, workload), random_samples(workload, CPU)
    result = net.forward(net.arrange(x))
    v, expected = torch.zeros(2, 2, 3, 3), []
    for t in range(workload.timesteps):
        v = v + x[:, t]
        spikes = (v >= 1).float()
        v = v * (1 - spikes) if hard_reset else v - spikes
        expected.append(spikes)
    torch.testing.assert_close(result, torch.stack(expected))
