"""ILIF: counts as the authors' recurrence gives them; as binary spikes the same sums."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.analysis.firing import FiringRates
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.models.scnn import SCNN
from membrane.models.sresnet import SResNet
from membrane.neurons import make_neuron
from membrane.neurons.first_forward import complete_neurons
from membrane.neurons.integer_lif import ILIF, sum_over_slots
from membrane.randomness import generator, scoped

N, T = 3, 8
BOTH = (SingleStepTID, MultiStepTID)


def data(*shape: int) -> Tensor:
    """x [N,T,…]."""
    return 3 * torch.randn(N, T, *shape, generator=generator(0, "data"), dtype=torch.float64) + 1


def counts(x: list[float], decay: float, threshold: float, most: int) -> list[int]:
    """c[t] of one neuron: mem = (mem − c·θ)·decay + x, c = mem/θ rounded to the nearest, half to even, from 0 to D."""
    memory, count, found = 0.0, 0, []
    for each in x:
        memory = (memory - count * threshold) * decay + each
        count = round(min(max(memory / threshold, 0), most))
        found.append(count)
    return found


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize(
    ("settings", "decay"),
    [({}, 0.25), ({"tau": 2.0, "v_threshold": 0.5, "max_spikes": 2}, 0.5), ({"max_spikes": 1}, 0.25)],
)
def test_counts_are_those_of_the_recurrence(
    settings: dict[str, Any], decay: float, strategy: Callable[[int], Any]
) -> None:
    made, x = make_neuron(ILIF, None, **settings), data(2, 4)
    threshold, most = settings.get("v_threshold", 1.0), settings.get("max_spikes", 4)
    for training in (True, False):
        outputs = strategy(T)(made.train(training), x)
        assert set(outputs.unique().tolist()) == set(range(most + 1))
        for n, c, s in torch.cartesian_prod(torch.arange(N), torch.arange(2), torch.arange(4)).tolist():
            assert outputs[:, n, c, s].tolist() == counts(x[n, :, c, s].tolist(), decay, threshold, most)


@pytest.mark.parametrize("strategy", BOTH)
def test_the_gradient_passes_between_zero_and_the_most(strategy: Callable[[int], Any]) -> None:
    # one step, θ = 0.5: dc/dx = 1/θ = 2 where 0 ≤ x/θ ≤ 4
    x = torch.tensor([-0.1, 0.1, 1.0, 1.9, 2.1], dtype=torch.float64).reshape(1, 1, 1, 5).requires_grad_()
    strategy(1)(make_neuron(ILIF, None, v_threshold=0.5), x).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 2, 2, 2, 0]


@pytest.mark.parametrize("detach", [False, True])
def test_the_gradient_through_the_reset(detach: bool) -> None:
    # c1 = round(x1), c2 = round(0.25·(x1 − c1) + x2): d(c1 + c2)/dx1 = 1 + 0.25·(1 − 1), or 1 + 0.25 if c1 is detached
    x = torch.tensor([1.2, 1.2], dtype=torch.float64).reshape(1, 2, 1, 1).requires_grad_()
    MultiStepTID(2)(make_neuron(ILIF, None, detach_reset=detach), x).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([1.25 if detach else 1.0, 1.0])


class Recording(nn.Linear):
    """A linear layer that keeps what it is given."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.received: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Keep and map x [N,F] → [N,K]."""
        self.received.append(x)
        return super().forward(x)


def test_binary_spikes_are_spikingjellys_and_their_sums_those_of_the_counts() -> None:
    # SpikingJelly: counts → D binary slots a timestep → weights without bias → sum over the slots
    spikes = torch.randint(0, 5, (T, N, 6), generator=generator(0, "data")).double()
    module = Recording(6, 4).double().eval()
    slots = layer.SpikeCountToBinary(4).eval()(spikes)
    expected = layer.TemporalBinSum(4).eval()(slots @ module.weight.T) + module.bias
    output = module(spikes)
    module.received.clear()
    torch.testing.assert_close(sum_over_slots(module, (spikes,), output), expected)
    torch.testing.assert_close(output, expected)
    assert torch.equal(torch.stack(module.received, dim=1).flatten(0, 1), slots)


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize(
    "build", [partial(SCNN, filters=[4, 6], fc_units=[8]), partial(SResNet, filters=[4, 4, 6], strides=[1, 2, 1])]
)
@pytest.mark.parametrize("shape", [(2, 12), (2, 12, 8)], ids=["1-D", "2-D"])
def test_a_model_computes_the_same_with_binary_spikes(
    build: Callable[..., nn.Module], shape: tuple[int, ...], strategy: Callable[[int], Any]
) -> None:
    x, found = data(*shape), []
    for binary in (False, True):
        with scoped(0, "initialisation"):
            neuron = partial(make_neuron, ILIF, None, binary=binary)
            model = build(input_shape=shape, classes=5, timesteps=T, neuron=neuron).double()
        complete_neurons(model, partial(strategy(T), model.eval(), x))
        hooked = sum(bool(module._forward_hooks) for module in model.modules())  # private to torch 2.11.0
        assert (hooked > 0) == binary
        found.append(strategy(T)(model, x))
        trained = strategy(T)(model.train(), x)
        found.append(trained)
    assert found[0].std() > 0.1
    torch.testing.assert_close(found[2], found[0], rtol=1e-9, atol=1e-10)
    assert torch.equal(found[3], found[1])


def test_a_firing_rate_counts_outputs_and_the_mean_spikes() -> None:
    made, x = make_neuron(ILIF, None), data(1, 20)
    model = nn.Sequential(made)
    with FiringRates(model) as firing:
        outputs = MultiStepTID(T)(model, x)
    assert firing.rates()["0"] == pytest.approx((outputs > 0).double().mean().item())
    assert firing.means()["0"] == pytest.approx(outputs.mean().item())
    assert firing.means()["0"] > firing.rates()["0"] + 0.1
