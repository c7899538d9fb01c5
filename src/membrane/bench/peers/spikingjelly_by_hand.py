"""SpikingJelly as its tutorials use it: its layers in a sequence, reset before every forward."""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from membrane.bench.peers.net import Kit, Net, net_layers
from membrane.bench.workloads import Workload


def spikingjelly_neuron(name: str) -> nn.Module:
    """Build IF with soft reset, or LIF with τ 2 and hard reset."""
    node: nn.Module
    if name == "if":
        node = neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan())
    else:
        node = neuron.LIFNode(surrogate_function=surrogate.ATan())
    return node


def spikingjelly_net(workload: Workload, step_mode: str) -> nn.Sequential:
    """Build the net in a step mode, 's' or 'm'."""
    kit = Kit(
        conv=(layer.Conv1d, layer.Conv2d),
        norm=(layer.BatchNorm1d, layer.BatchNorm2d),
        pool=(layer.MaxPool1d, layer.MaxPool2d),
        linear=layer.Linear,
        flatten=layer.Flatten,
        neuron=lambda: spikingjelly_neuron(workload.neuron),
    )
    net = nn.Sequential(*net_layers(workload, kit))
    functional.set_step_mode(net, step_mode)
    return net


def spikingjelly_multistep(workload: Workload, device: torch.device) -> Net:
    """Build a net that is called once on all timesteps."""
    net = spikingjelly_net(workload, "m")

    def forward(x: Tensor) -> Tensor:
        functional.reset_net(net)
        steps = x.transpose(0, 1) if workload.in_data else x.unsqueeze(0).expand(workload.timesteps, *x.shape)
        outputs: Tensor = net(steps)
        return outputs

    return Net(net, forward)


def spikingjelly_singlestep(workload: Workload, device: torch.device) -> Net:
    """Build a net that is called at each timestep."""
    net = spikingjelly_net(workload, "s")

    def forward(x: Tensor) -> Tensor:
        functional.reset_net(net)
        return torch.stack([net(x[:, t] if workload.in_data else x) for t in range(workload.timesteps)])

    return Net(net, forward)
