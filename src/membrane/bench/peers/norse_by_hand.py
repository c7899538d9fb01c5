"""Norse as its documentation uses it: torch's layers and its cells in a `SequentialState`, a loop over time.

Its LIF without synaptic current, v + (x − v)·dt/τ, is SpikingJelly's at dt/τ = 1/2. It has no IF with soft reset.
Initial states are handed in: the default ones ask for a gradient that nobody needs.
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

from membrane.bench.peers.net import TORCH, Kit, Net, layers
from membrane.bench.workloads import Workload

SAID = "Norse's surrogate gradient is its own default (SuperSpike), and a potential just at the threshold is no spike"
NOTES = {
    "if": f"{SAID}; its IF resets to zero, for it has none with soft reset",
    "lif": f"{SAID}; otherwise its `LIFBoxCell` with dt/τ = 1/2 is the same function",
}


def cell(kind: str, device: torch.device) -> nn.Module:
    """IF, or LIF with τ 2, both with hard reset; their constants live on the device."""
    zero, half, one = (torch.tensor(value, device=device) for value in (0.0, 0.5, 1.0))
    made: nn.Module
    if kind == "if":
        made = IAFCell(IAFParameters(v_th=one, v_reset=zero))
    else:
        made = LIFBoxCell(LIFBoxParameters(tau_mem_inv=half, v_leak=zero, v_th=one, v_reset=zero), dt=1.0)
    return made


def stepwise(workload: Workload, device: torch.device) -> Net:
    """A call at each timestep."""
    kit = Kit(*TORCH, neuron=lambda: cell(workload.neuron, device))
    net = SequentialState(*layers(workload, kit))
    state = {IAFCell: IAFFeedForwardState, LIFBoxCell: LIFBoxFeedForwardState}
    fresh = [state[type(each)](v=torch.zeros((), device=device)) if type(each) in state else None for each in net]

    def forward(x: Tensor) -> Tensor:
        states, outputs = list(fresh), []
        for t in range(workload.timesteps):
            output, states = net(x[:, t] if workload.in_data else x, states)
            outputs.append(output)
        return torch.stack(outputs)

    return Net(net, forward)
