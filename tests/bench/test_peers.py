"""Peers' nets: the same function as membrane's on the same weights, where their libraries allow it."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from membrane.bench.measure import timed_precisions
from membrane.bench.peers import CHANNELS_LAST, PEERS, Peer, ours
from membrane.bench.peers.net import Net, copy_weights, weighted_layers
from membrane.bench.precision import lay_out_input
from membrane.bench.step import random_samples
from membrane.bench.workloads import WORKLOADS, Workload
from membrane.fast.torch_compile import compile_training

CPU = torch.device("cpu")
NETS = {each.name: each for each in WORKLOADS if each.classes}
PARAMETERS = {
    "W1": sum(9 * a * b + 2 * b for a, b in ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)))
    + 256 * 4 * 4 * 10
    + 10,
    "W2": sum(9 * a * b + 2 * b for a, b in ((2, 32), (32, 64), (64, 128), (128, 128), (128, 256)))
    + 256 * 4 * 4 * 11
    + 11,
    "W3": sum(3 * a * b + 2 * b for a, b in ((9, 64), (64, 64), (64, 128))) + 128 * 16 * 6 + 6,
    "W4": 784 * 512 + 512 + 512 * 10 + 10,
}
SAME = [each for each in PEERS if each.role != "floor"]


def small(name: str) -> Workload:
    """A workload narrow enough for a test, its neurons driven above the threshold."""
    return replace(NETS[name].scaled(0.125), timesteps=4)


def built(peer: Peer, workload: Workload) -> Net:
    if not peer.is_installed():
        pytest.skip(f"{peer.library} is not installed")
    torch.manual_seed(1)
    return peer.build(workload, CPU)


def settled(workload: Workload) -> tuple[Net, Tensor]:
    """membrane's net with weights that make it spike and statistics that it has measured; an input."""
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
    net.module.eval()
    with torch.no_grad():
        return net.forward(net.arrange(x))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("name", NETS)
def test_nets_have_the_parameters_that_the_layers_add_up_to(name: str, peer: Peer) -> None:
    net = built(peer, NETS[name])
    assert sum(parameter.numel() for parameter in net.module.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("peer", SAME[1:], ids=lambda peer: peer.name)
@pytest.mark.parametrize("name", NETS)
def test_peers_compute_what_membrane_computes(name: str, peer: Peer) -> None:
    if peer.name == "Norse" and NETS[name].neuron == "if":
        pytest.skip("Norse has no IF with soft reset; its own is tested below")
    workload = small(name)
    source, x = settled(workload)
    net = built(peer, workload)
    copy_weights(source.module, net.module)
    expected = outputs(source, x)
    assert expected.shape == (workload.timesteps, workload.batch, workload.classes)
    assert expected[0].ne(expected[-1]).any()  # time matters: neurons spike
    torch.testing.assert_close(outputs(net, x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outputs(net, x), expected, atol=1e-5, rtol=1e-5)  # no state is left over


def test_the_if_of_norse_is_one_with_hard_reset() -> None:
    workload = small("W1")
    source, x = settled(workload)
    norse = built(next(peer for peer in PEERS if peer.name == "Norse"), workload)
    copy_weights(source.module, norse.module)
    soft = outputs(source, x)
    for module in source.module.modules():
        if isinstance(module, neuron.IFNode):
            module.v_reset = 0.0
    hard = outputs(source, x)
    assert soft.sub(hard).abs().max() > 1e-3
    torch.testing.assert_close(outputs(norse, x), hard, atol=1e-5, rtol=1e-5)


def test_gradients_of_snntorch_are_those_of_spikingjelly_with_a_detached_reset() -> None:
    for name in ("W2", "W4"):
        workload = small(name)
        source, x = settled(workload)
        net = built(next(peer for peer in PEERS if peer.name == "snnTorch"), workload)
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


@pytest.mark.parametrize("name", NETS)
def test_the_floor_is_a_plain_relu_net_on_all_images(name: str) -> None:
    workload = small(name)
    source, x = settled(workload)
    floor = built(PEERS[-1], workload)
    copy_weights(source.module, floor.module)
    result = outputs(floor, x)
    frames = x.transpose(0, 1) if workload.in_data else x.expand(workload.timesteps, *x.shape)
    with torch.no_grad():
        expected = torch.stack([floor.module(frame) for frame in frames])
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(module, neuron.BaseNode) for module in floor.module.modules())


def spikes_as_worked_out(peer: Peer) -> None:
    """Compare a neuron alone with its equation, step by step."""
    workload = replace(next(each for each in WORKLOADS if not each.classes), shape=(2, 3, 3), batch=2)
    net, (x, _) = built(peer, workload), random_samples(workload, CPU)
    result = net.forward(net.arrange(x))
    v, expected = torch.zeros(2, 2, 3, 3), []
    for t in range(workload.timesteps):
        v = v + x[:, t]
        spikes = (v >= 1).float()
        v = v * (1 - spikes) if peer.name == "Norse" else v - spikes
        expected.append(x[:, t].relu() if peer.role == "floor" else spikes)
    torch.testing.assert_close(result, torch.stack(expected))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_neuron_alone(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    # for the CPU torch's own compiler would start a C++ compiler for every header and vector width
    monkeypatch.setattr(ours, "compile_training", partial(compile_training, backend="aot_eager"))
    spikes_as_worked_out(peer)


@pytest.mark.slow
def test_torch_compiles_a_neuron_alone() -> None:
    spikes_as_worked_out(next(peer for peer in PEERS if peer.name == "membrane compiled"))


def test_other_weights_are_refused() -> None:
    one, other = (built(PEERS[0], each).module for each in (small("W4"), NETS["W4"]))
    with pytest.raises(ValueError, match="not the same net"):
        copy_weights(one, other)


def test_signals_lie_channels_last_where_the_layout_is_ours() -> None:
    for peer in PEERS:
        last = [CHANNELS_LAST in timed_precisions(peer, small(name)) for name in ("W2", "W3", "W4")]
        has = CHANNELS_LAST in peer.precisions
        assert last == [has, has and peer.role != "peer", False]
    assert sum(CHANNELS_LAST in timed_precisions(peer, small("W3")) for peer in PEERS) == 2


@pytest.mark.parametrize("name", ["W1", "W2", "W3"])
def test_channels_last_changes_the_layout_and_no_number(name: str) -> None:
    workload = small(name)
    x, _ = random_samples(workload, CPU)
    result = lay_out_input(x, workload, channels_last=True)
    assert torch.equal(result, x)
    merged = result.transpose(0, 1).flatten(0, 1) if workload.in_data else result
    assert merged.movedim(1, -1).is_contiguous()
    assert merged.data_ptr() == result.data_ptr()
