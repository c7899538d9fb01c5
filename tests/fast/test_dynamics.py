"""The equations of fused neurons against SpikingJelly's own, one timestep after the other, and their gradients."""

from collections.abc import Iterator
from itertools import product

import pytest
import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from membrane.fast.dynamics import Dynamics, charge, unroll
from membrane.neurons.leaky import Leaky

T, N = 6, 5
RATE = 0.4
"""1/τ of a neuron that learns it."""


def peers() -> Iterator[tuple[Dynamics, nn.Module]]:
    """Yield dynamics, and the neuron of SpikingJelly that has them."""
    for v_reset, detach in product((0.0, -0.25, None), (False, True)):
        shared = {"v_threshold": 0.75, "v_reset": v_reset, "detach_reset": detach}
        rest = (0.75, v_reset, detach, surrogate.ATan(), (0.0, 0.0))
        atan = {"surrogate_function": surrogate.ATan()}
        yield Dynamics("integrate", False, 1.0, *rest), neuron.IFNode(**shared, **atan)
        for decay_input in (True, False):
            leak = neuron.LIFNode(tau=3.0, decay_input=decay_input, **shared, **atan)
            yield Dynamics("leak", decay_input, 3.0, *rest), leak
            learned = neuron.ParametricLIFNode(init_tau=1 / RATE, decay_input=decay_input, **shared, **atan)
            yield Dynamics("learned", decay_input, 1.0, *rest), learned
    late = Dynamics("reset_late", False, 1.0, 0.75, None, False, surrogate.ATan(), (0.0, 0.0), 0.9)
    yield late, Leaky(0.9, 0.75, surrogate.ATan())


def stepped(node: nn.Module, x: Tensor, start: Tensor | float) -> tuple[Tensor, Tensor]:
    """Run SpikingJelly's neuron step by step from a potential → spikes [T,N] and the last v [N]."""
    node.reset()
    node.v = start
    spikes = torch.stack([node(frame) for frame in x])
    return spikes, node.v


@pytest.mark.parametrize("from_tensor", [False, True])
def test_spikes_potentials_and_gradients_are_spikingjellys(from_tensor: bool) -> None:
    inputs = 3 * torch.randn(T, N, generator=torch.Generator().manual_seed(0))
    fired = 0
    for dynamics, node in peers():
        before = torch.linspace(-0.5, 0.5, N) if from_tensor else None
        ours, theirs = (inputs.clone().requires_grad_() for _ in range(2))
        rate = torch.tensor(RATE, requires_grad=True) if dynamics.charge == "learned" else None
        spikes, v = unroll(dynamics, ours, (before, 0.125), rate)
        expected, last = stepped(node, theirs, torch.full((N,), 0.125) if before is None else before)
        torch.testing.assert_close(spikes, expected)
        torch.testing.assert_close(v, last)
        weights = torch.linspace(1, 2, T * N).reshape(T, N)
        ((spikes * weights).sum() + v.sum()).backward()
        ((expected * weights).sum() + last.sum()).backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        if rate is not None:
            sigmoid = node.w.sigmoid()
            torch.testing.assert_close(rate.grad * sigmoid * (1 - sigmoid), node.w.grad)
        fired += int(spikes.sum())
    assert fired > 100


def test_half_precision_is_charged_in_single_and_spikes_in_its_own() -> None:
    dynamics = Dynamics("integrate", False, 1.0, 1.0, 0.0, False, surrogate.ATan(), (0.0, 0.0))
    # in bfloat16 1 + 2⁻⁹ would be 1; both stay below the threshold only if they are added in float32
    x = torch.tensor([[0.5], [0.5 - 2**-9]], dtype=torch.bfloat16)
    spikes, v = unroll(dynamics, x, (None, 0.0), None)
    assert (spikes.dtype, v.dtype) == (torch.bfloat16, torch.float32)
    assert spikes.flatten().tolist() == [0, 0]
    assert v.item() == 1 - 2**-9


def test_a_charge_by_hand() -> None:
    x, v = torch.tensor([1.0]), torch.tensor([0.5])

    def charged(form: str, decay_input: bool, v_reset: float | None, rate: float | None = None) -> float:
        dynamics = Dynamics(form, decay_input, 4.0, 1.0, v_reset, False, surrogate.ATan(), (0.0, 0.0))
        return charge(dynamics, x, v, None if rate is None else torch.tensor(rate)).item()

    assert charged("integrate", True, -1.0) == 1.5
    assert charged("leak", True, None) == 0.5 + (1 - 0.5) / 4
    assert charged("leak", True, -1.0) == 0.5 + (1 - (0.5 + 1)) / 4
    assert charged("leak", False, None) == 0.5 - 0.5 / 4 + 1
    assert charged("leak", False, -1.0) == 0.5 - (0.5 + 1) / 4 + 1
    assert charged("learned", True, -1.0, 0.5) == 0.5 + (1 - (0.5 + 1)) / 2
    assert charged("learned", False, -1.0, 0.5) == 0.5 - (0.5 + 1) / 2 + 1
    late = Dynamics("reset_late", False, 1.0, 0.5, None, False, surrogate.ATan(), (0.0, 0.0), 0.75)
    assert charge(late, x, v, None).item() == 0.75 * 0.5 + 1 - 0.5
    assert charge(late._replace(v_threshold=1.0), x, v, None).item() == 0.75 * 0.5 + 1
