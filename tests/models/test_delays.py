"""Learned delays: spikes moved by hand, the kernel and its gradient by a loop and by differences, both step modes."""

import math
from collections.abc import Callable

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import functional
from torch import Tensor, fx, nn
from torch.func import functional_call

from membrane.models.delays import DelayedLinear, width
from membrane.models.smlp import SMLP
from membrane.randomness import generator, scoped
from membrane.training.assembly import build_learner
from membrane.training.optimizers import build_optimizer

Run = Callable[[nn.Module, Tensor], Tensor]


def delayed(bias: bool = True, max_delay: int = 4, epochs: int = 8) -> DelayedLinear:
    with scoped(0, "initialisation"):
        return DelayedLinear(3, 2, bias, max_delay, epochs).double()


def all_at_once(module: nn.Module, x: Tensor) -> Tensor:
    """x [T,N,…] → [T,N,…] in step mode 'm'."""
    functional.reset_net(module)
    functional.set_step_mode(module, "m")
    outputs: Tensor = module(x)
    return outputs


def one_by_one(module: nn.Module, x: Tensor) -> Tensor:
    """x [T,N,…] → [T,N,…] in step mode 's'."""
    functional.reset_net(module)
    functional.set_step_mode(module, "s")
    return torch.stack([module(frame) for frame in x])


@pytest.mark.parametrize("run", [all_at_once, one_by_one])
def test_in_evaluation_a_whole_delay_moves_a_spike_train_by_as_many_timesteps(run: Run) -> None:
    synapses = DelayedLinear(2, 3, False, 3, 5).eval()
    with torch.no_grad():
        synapses.weight.copy_(torch.tensor([[1.0, 0], [0, 2], [1, 2]]))
        synapses.delay.copy_(torch.tensor([[0.0, 0], [0, 2], [1, 3]]))
    first, second = [1.0, 0, 0, 1, 1, 0], [1.0, 1, 0, 0, 0, 0]
    y = run(synapses, torch.tensor([first, second]).T[:, None])[:, 0].T.tolist()
    assert y[0] == first
    assert y[1] == [0, 0, 2, 2, 0, 0]
    assert y[2] == [0, 1, 0, 0 + 2, 1 + 2, 1]


def test_delays_between_timesteps_are_rounded_in_evaluation_and_beyond_the_ends_are_the_ends() -> None:
    synapses = DelayedLinear(1, 5, False, 3, 5).eval()
    with torch.no_grad():
        synapses.weight.fill_(1)
        synapses.delay.copy_(torch.tensor([[1.4], [1.6], [0.2], [7.0], [-2.0]]))
    taps = synapses.kernel()[:, 0]
    assert taps.argmax(1).tolist() == [1, 2, 0, 3, 0]
    assert taps.count_nonzero(1).tolist() == [1] * 5


@pytest.mark.parametrize("run", [all_at_once, one_by_one])
@pytest.mark.parametrize("epoch", [0, 5, 8])
def test_in_training_each_weight_is_spread_over_neighbouring_taps(run: Run, epoch: int) -> None:
    """A loop over timesteps, synapses and taps, with the width written out."""
    synapses, x = delayed().train(), torch.randn(6, 2, 3, generator=generator(0, "data"), dtype=torch.float64)
    synapses.set_epoch(epoch)
    sigma = 0.27 + 2 * (0.23 / 2) ** (epoch / 8)
    y = run(synapses, x)
    for t in range(6):
        for n in range(2):
            for o in range(2):
                expected = 0.0
                for i in range(3):
                    d, w = synapses.delay[o, i].item(), synapses.weight[o, i].item()
                    gauss = [math.exp(-((k - d) ** 2) / (2 * sigma**2)) for k in range(5)]
                    expected += sum(w * g / sum(gauss) * x[t - k, n, i].item() for k, g in enumerate(gauss) if k <= t)
                assert y[t, n, o].item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_gradients_of_delays_and_weights_by_finite_differences() -> None:
    synapses, x = delayed().train(), torch.randn(5, 2, 3, generator=generator(0, "data"), dtype=torch.float64)
    functional.set_step_mode(synapses, "m")

    def outputs(delay: Tensor, weight: Tensor) -> Tensor:
        functional.reset_net(synapses)
        y: Tensor = functional_call(synapses, {"delay": delay, "weight": weight}, x)
        return y

    inputs = [parameter.detach().clone().requires_grad_() for parameter in (synapses.delay, synapses.weight)]
    assert torch.autograd.gradcheck(outputs, inputs)


def test_the_width_falls_from_half_the_longest_delay_to_half_a_timestep_and_stays() -> None:
    """As the authors' code has it for a kernel of 25 taps over 37 epochs."""
    assert width(0, 24, 37) == pytest.approx(12.27)
    assert width(18, 24, 36) == pytest.approx(0.27 + math.sqrt(12 * 0.23))
    assert [width(epoch, 24, 37) for epoch in (37, 38, 149)] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_one_function_in_both_step_modes_and_begins_anew(training: bool) -> None:
    config = configured("model=smlp", "model.units=[6,5]", "model.max_delay=3", "framework=multistep_tid")
    model = build_learner(config).model.double().train(training)
    x = 3 * torch.rand(7, 4, *config.dataset.shape, generator=generator(0, "data"), dtype=torch.float64)
    single, multi, again = one_by_one(model, x), all_at_once(model, x), all_at_once(model, x)
    assert (single - multi).abs().max() < 1e-9
    assert torch.equal(multi, again)
    assert multi[1:].std(0).max() > 0.01


def test_inputs_before_a_pause_are_remembered() -> None:
    synapses, x = delayed(), torch.randn(6, 2, 3, generator=generator(0, "data"), dtype=torch.float64)
    whole = all_at_once(synapses, x)
    functional.reset_net(synapses)
    assert torch.allclose(torch.cat([synapses(x[:2]), synapses(x[2:])]), whole)


def test_a_step_of_the_optimiser_ends_with_delays_in_their_range_from_which_they_return() -> None:
    plain = ("optimizer=sgd", "optimizer.momentum=0", "optimizer.lr_delay=1")
    config = configured("model=smlp", "model.units=[8]", "model.max_delay=3", *plain)
    learner = build_learner(config)
    optimizer, delay = build_optimizer(config, learner), learner.model.fc1.delay
    for direction, end in ((-9.0, 3.0), (9.0, 0.0)):
        for parameter in learner.parameters():
            parameter.grad = torch.zeros_like(parameter)
        delay.grad.fill_(direction)
        optimizer.step()
        assert torch.equal(delay, torch.full_like(delay, end))


def test_a_layer_is_one_node_of_the_graph() -> None:
    model = SMLP(input_shape=(1, 6), classes=3, timesteps=5, neuron=nn.Tanh, units=[8], max_delay=2, bias=False)

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, DelayedLinear) or super().is_leaf_module(m, module_qualified_name)

    called = [node.target for node in Tracer().trace(model).nodes if node.op == "call_module"]
    assert [name for name in called if name in ("fc1", "head")] == ["fc1", "head"]
    assert {name for name, _ in model.named_parameters()} == {"fc1.weight", "fc1.delay", "head.weight", "head.delay"}
