"""Norse as its documentation uses it: torch's layers and its cells in a `SequentialState`, a loop over time.

Its LIF without synaptic current, v + (x − v)·dt/τ, is SpikingJelly's at dt/τ = 1/2. It has no IF with soft reset.
Initial states are given: the default ones require a gradient that is not needed.
"""

import torch
from norse.torch import (
    IAFCell,
    IAFFeedForwardState,
    IAFParameters,
    LIFBoxCell,
    LIFBoxFeedForwardState,
    LIFBoxParameters,
    SequentialState,
)
from torch import Tensor, nn

from membrane.bench.peers.net import TORCH, Kit, Net, net_layers
from membrane.bench.workloads import Workload

NORSE_NOTE = (
    "Norse's surrogate gradient is its own default (SuperSpike), and a potential just at the threshold is no spike"
)
NOTES = {
    "if": f"{NORSE_NOTE}; its IF resets to zero, for it has none with soft reset",
    "lif": f"{NORSE_NOTE}; otherwise its `LIFBoxCell` with dt/τ = 1/2 is the same function",
}


def norse_cell(neuron: str, device: torch.device) -> nn.Module:
    """Build an IF cell, or a LIF cell with τ 2, both with hard reset, their constants on the device."""
    zero, half, one = (torch.tensor(value, device=device) for value in (0.0, 0.5, 1.0))
    cell: nn.Module
    if neuron == "if":
        cell = IAFCell(IAFParameters(v_th=one, v_reset=zero))
    else:
        cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=half, v_leak=zero, v_th=one, v_reset=zero), dt=1.0)
    return cell


def norse_net(workload: Workload, device: torch.device) -> Net:
    """Build a net that is called at each timestep."""
    kit = Kit(*TORCH, neuron=lambda: norse_cell(workload.neuron, device))
    net = SequentialState(*net_layers(workload, kit))
    state = {IAFCell: IAFFeedForwardState, LIFBoxCell: LIFBoxFeedForwardState}
    fresh = [state[type(each)](v=torch.zeros((), device=device)) if type(each) in state else None for each in net]

    def forward(x: Tensor) -> Tensor:
        states, outputs = list(fresh), []
        for t in range(workload.timesteps):
            output, states = net(x[:, t] if workload.in_data else x, states)
            outputs.append(output)
        return torch.stack(outputs)

    return Net(net, forward)
