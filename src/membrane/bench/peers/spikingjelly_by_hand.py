"""SpikingJelly as its tutorials use it: its layers in a sequence, reset before every forward."""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from membrane.bench.peers.net import Kit, Net, layers
from membrane.bench.workloads import Workload


def node(kind: str) -> nn.Module:
    """IF with soft reset, or LIF with τ 2 and hard reset."""
    made: nn.Module
    if kind == "if":
        made = neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan())
    else:
        made = neuron.LIFNode(surrogate_function=surrogate.ATan())
    return made


def sequence(workload: Workload, step_mode: str) -> nn.Sequential:
    """The net."""
    kit = Kit(
        conv=(layer.Conv1d, layer.Conv2d),
        norm=(layer.BatchNorm1d, layer.BatchNorm2d),
        pool=(layer.MaxPool1d, layer.MaxPool2d),
        linear=layer.Linear,
        flatten=layer.Flatten,
        neuron=lambda: node(workload.neuron),
    )
    net = nn.Sequential(*layers(workload, kit))
    functional.set_step_mode(net, step_mode)
    return net


def multistep(workload: Workload, device: torch.device) -> Net:
    """One call on all timesteps."""
    net = sequence(workload, "m")

    def forward(x: Tensor) -> Tensor:
        functional.reset_net(net)
        steps = x.transpose(0, 1) if workload.in_data else x.unsqueeze(0).expand(workload.timesteps, *x.shape)
        outputs: Tensor = net(steps)
        return outputs

    return Net(net, forward)


def singlestep(workload: Workload, device: torch.device) -> Net:
    """A call at each timestep."""
    net = sequence(workload, "s")

    def forward(x: Tensor) -> Tensor:
        functional.reset_net(net)
        return torch.stack([net(x[:, t] if workload.in_data else x) for t in range(workload.timesteps)])

    return Net(net, forward)
