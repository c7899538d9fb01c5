"""The layers that all peers share, and the weights that are copied from one net to another."""

from dataclasses import replace

import pytest
import torch
from peer_nets import NETS, built, neuron_alone, peer_named, small
from torch import nn

from membrane.bench.peers import PEERS, Peer
from membrane.bench.peers.net import TORCH, Kit, Net, copy_weights, net_layers, unchanged, weighted_layers
from membrane.bench.workloads import Workload

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


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("name", NETS)
def test_nets_have_the_parameters_that_the_layers_add_up_to(name: str, peer: Peer) -> None:
    net = built(peer, NETS[name])
    assert sum(parameter.numel() for parameter in net.module.parameters()) == PARAMETERS[name]


def listed(workload: Workload) -> list[str]:
    return [type(each).__name__ for each in net_layers(workload, Kit(*TORCH, neuron=nn.ReLU))]


def test_layers_come_in_order() -> None:
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    one = replace(NETS["W1"], filters=(4, 6, 8), pools=(1, 2, 3), units=(7, 5))
    assert listed(one) == [
        *block,
        *(*block, "MaxPool2d"),
        *(*block, "MaxPool2d"),
        "Flatten",
        *("Linear", "ReLU"),
        *("Linear", "ReLU"),
        "Linear",
    ]
    signal = replace(NETS["W3"], filters=(4,), pools=(2,))
    assert listed(signal) == ["Conv1d", "BatchNorm1d", "ReLU", "MaxPool1d", "Flatten", "Linear"]
    assert listed(NETS["W4"]) == ["Flatten", "Linear", "ReLU", "Linear"]
    assert listed(neuron_alone()) == ["ReLU"]


def test_layers_fit_together() -> None:
    workload = replace(NETS["W2"], filters=(4, 6), pools=(1, 2), units=(7,), stride=2, shape=(2, 9, 13))
    conv, _, _, second, _, _, pool, _, hidden, _, head = net_layers(workload, Kit(*TORCH, neuron=nn.ReLU))
    assert (conv.in_channels, conv.out_channels, second.in_channels, second.out_channels) == (2, 4, 4, 6)
    assert {(each.kernel_size, each.stride, each.padding, each.bias) for each in (conv, second)} == {
        ((3, 3), (2, 2), (1, 1), None)
    }
    assert pool.kernel_size == 2
    # 9×13 → 5×7 → 3×4 → 1×2
    assert (hidden.in_features, hidden.out_features, head.in_features, head.out_features) == (6 * 2, 7, 7, 11)


def test_a_net_arranges_nothing_unless_it_says_so() -> None:
    x = torch.ones(1)
    assert unchanged(x) is x
    assert Net(nn.Identity(), nn.Identity()).arrange is unchanged


def test_weights_and_statistics_are_copied_and_the_source_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    source, target = (nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.BatchNorm1d(2), nn.Linear(3, 4)) for _ in "ab")
    source(torch.randn(2, 1, 5))
    kept = {name: value.clone() for name, value in source.state_dict().items()}
    copy_weights(source, target)
    for net in (source, target):
        assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())
    assert [type(each) for each in weighted_layers(source)] == [nn.Conv1d, nn.BatchNorm1d, nn.Linear]


def test_other_weights_are_refused() -> None:
    one, other = (built(peer_named("membrane multistep"), each).module for each in (small("W4"), NETS["W4"]))
    with pytest.raises(ValueError, match=r"^not the same net: 2 layers of \d+ parameters, not 2 of \d+$"):
        copy_weights(one, other)
    few, many = nn.Sequential(nn.Linear(1, 2)), nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"^not the same net: 2 layers of 4 parameters, not 1 of 4$"):
        copy_weights(few, many)
