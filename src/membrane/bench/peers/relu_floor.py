"""The floor: the same net with ReLU in the neurons' place, on T·N images at once, without any cost of time."""

import torch
from torch import Tensor, nn

from membrane.bench.peers.net import TORCH, Kit, Net, net_layers
from membrane.bench.workloads import Workload


def relu_net(workload: Workload, device: torch.device) -> Net:
    """Build a net that is called once on T·N images, which are arranged before the clock starts."""
    net = nn.Sequential(*net_layers(workload, Kit(*TORCH, neuron=nn.ReLU)))
    steps = workload.timesteps

    def arrange(x: Tensor) -> Tensor:
        """Repeat or merge [N,…] or [N,T,…] → [T·N,…]."""
        merged: Tensor = x.transpose(0, 1).flatten(0, 1) if workload.in_data else torch.cat([x] * steps)
        return merged

    def forward(x: Tensor) -> Tensor:
        outputs: Tensor = net(x)
        return outputs.reshape(steps, -1, *outputs.shape[1:])

    return Net(net, forward, arrange)
