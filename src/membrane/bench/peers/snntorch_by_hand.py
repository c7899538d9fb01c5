"""snnTorch as its tutorials use it: torch's layers and its neurons, a loop over time, hidden states in the neurons.

Its equation is h[t] = β·v[t−1] + x[t] with θ subtracted, or v set to zero, one step later. IF with soft reset is β = 1.
SpikingJelly's LIF, h = (v + x)/2 against θ = 1, is β = 1/2 against θ = 2 in twice the unit; ATan's slope is halved with
it, so that gradients are those of SpikingJelly too, but for the reset, through which snnTorch passes none.
"""

import torch
from snntorch import Leaky, surrogate
from torch import Tensor, nn

from membrane.bench.peers.net import TORCH, Kit, Net, net_layers
from membrane.bench.workloads import Workload

SNNTORCH_NOTE = "snnTorch passes no gradient through the reset, and a potential just at the threshold is no spike"
NOTES = {
    "if": f"{SNNTORCH_NOTE}; otherwise its `Leaky` with β 1 is the same function",
    "lif": f"{SNNTORCH_NOTE}; otherwise its `Leaky` with β 1/2 and threshold 2 is the same function",
}


def snntorch_neuron(neuron: str) -> nn.Module:
    """Build IF with soft reset, or LIF with τ 2 and hard reset."""
    leaky: nn.Module
    if neuron == "if":
        leaky = Leaky(beta=1.0, spike_grad=surrogate.atan(2.0), init_hidden=True)
    else:
        leaky = Leaky(beta=0.5, threshold=2.0, spike_grad=surrogate.atan(1.0), reset_mechanism="zero", init_hidden=True)
    return leaky


def snntorch_net(workload: Workload, device: torch.device) -> Net:
    """Build a net that is called at each timestep."""
    net = nn.Sequential(*net_layers(workload, Kit(*TORCH, neuron=lambda: snntorch_neuron(workload.neuron))))
    neurons = [each for each in net if isinstance(each, Leaky)]

    def forward(x: Tensor) -> Tensor:
        for each in neurons:
            each.reset_mem()
        return torch.stack([net(x[:, t] if workload.in_data else x) for t in range(workload.timesteps)])

    return Net(net, forward)
