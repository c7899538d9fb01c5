"""The floor is a plain ReLU net on all images at once."""

import pytest
import torch
from peer_nets import CPU, NETS, built, neuron_alone, outputs, peer_named, settled, small
from spikingjelly.activation_based import neuron

from membrane.bench.peers.net import copy_weights
from membrane.bench.peers.relu_floor import relu_net
from membrane.bench.step import random_samples

FLOOR = peer_named("ReLU on T·N images")


@pytest.mark.parametrize("name", NETS)
def test_the_floor_is_a_plain_relu_net_on_all_images(name: str) -> None:
    workload = small(name)
    source, x = settled(workload)
    floor = built(FLOOR, workload)
    copy_weights(source.module, floor.module)
    result = outputs(floor, x)
    frames = x.transpose(0, 1) if workload.in_data else x.expand(workload.timesteps, *x.shape)
    with torch.no_grad():
        expected = torch.stack([floor.module(frame) for frame in frames])
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(module, neuron.BaseNode) for module in floor.module.modules())


def test_images_are_arranged_before_the_clock_starts() -> None:
    still, moving = small("W1"), small("W2")
    for workload in (still, moving):
        net, (x, _) = relu_net(workload, CPU), random_samples(workload, CPU)
        arranged = net.arrange(x)
        assert arranged.shape == (workload.timesteps * workload.batch, *workload.shape)
        for t in range(workload.timesteps):
            frame = x[:, t] if workload.in_data else x
            assert torch.equal(arranged[t * workload.batch : (t + 1) * workload.batch], frame)


def test_a_rectifier_alone() -> None:
    workload = neuron_alone()
    net, (x, _) = relu_net(workload, CPU), random_samples(workload, CPU)
    assert torch.equal(net.forward(net.arrange(x)), x.transpose(0, 1).relu())
