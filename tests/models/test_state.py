"""Detaching what layers carry from timestep to timestep: all of it, in values without a change."""

import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from membrane.models.delays import DelayedLinear
from membrane.models.state import detach_state
from membrane.neurons.adaptive_lif import AdLIF


class Integrator(nn.Module):
    """Keeps a sum in an attribute, as code without SpikingJelly's memories does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.reset()

    def reset(self) -> None:
        self.total: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.total = self.total + self.weight * x
        return self.total


def test_no_gradient_flows_through_state_to_what_came_before() -> None:
    lateral = layer.LinearRecurrentContainer(neuron.LIFNode(), 3, 3)
    queue = neuron.SlidingPSN(k=3, exp_init=False)
    delays = DelayedLinear(3, 3, bias=False, max_delay=2, epochs=1)
    others = (neuron.CUBALIFNode(), AdLIF(), layer.SynapseFilter(), delays, Integrator())
    for model in (neuron.LIFNode(), lateral, queue, *others):
        first = torch.full((2, 3), 0.7, requires_grad=True)
        before = model(first)
        detach_state(model)
        model(torch.full((2, 3), 0.4, requires_grad=True)).sum().backward()
        assert first.grad is None, model
        assert before.requires_grad  # an output that is state too keeps its graph
        before.sum().backward()
        assert first.grad.abs().max() > 0


def test_values_stay() -> None:
    x = torch.rand(4, 2, 3)
    model, other = neuron.SlidingPSN(k=3), neuron.SlidingPSN(k=3)
    other.load_state_dict(model.state_dict())
    for frame in x:
        detach_state(model)
        assert torch.equal(model(frame), other(frame))
