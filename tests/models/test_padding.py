"""What lies behind the end of a sample changes nothing: not its outputs in evaluation, nor the others' in training."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from membrane.data.feed.batch import Batch
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.losses import TET, CrossEntropy, SpikeCount
from membrane.models.ms_resnet import MSResNet
from membrane.models.padding import valid_statistics
from membrane.models.scnn import SCNN
from membrane.neurons import is_neuron
from membrane.readout import Last, Max, Mean, Membrane, Sum

FRAMEWORKS = [SingleStepTID, MultiStepTID]
READOUTS = [Mean(), Sum(), Max(), Last(), Membrane(tau=2.0)]
N, C, S = 5, 2, 8


def net(norm: str = "batch", timesteps: int = 12) -> nn.Module:
    """A spiking CNN in float64 whose neurons fire."""
    torch.manual_seed(0)
    make = lambda: neuron.LIFNode(v_threshold=0.3, v_reset=None)  # noqa: E731
    return SCNN(input_shape=[C, S], classes=3, timesteps=timesteps, neuron=make, filters=[4], norm=norm).double()


def drawn(lengths: list[int], steps: int, seed: int = 0) -> Tensor:
    """Samples [N,T,C,S] whose valid frames do not depend on T; what is behind them is random."""
    x = torch.randn(len(lengths), steps, C, S, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for sample, length in enumerate(lengths):
        values = torch.Generator().manual_seed(100 + sample)
        x[sample, :length] = torch.randn(length, C, S, dtype=torch.float64, generator=values)
    return x


@pytest.mark.parametrize("framework", FRAMEWORKS)
@settings(max_examples=15)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 6), st.integers(0, 9))
def test_in_evaluation_each_sample_is_as_if_it_were_alone(framework, lengths: list[int], more: int, seed: int) -> None:
    model = net().eval()
    steps = max(lengths) + more
    outputs = framework(steps)(model, drawn(lengths, steps, seed), torch.tensor(lengths))
    for sample, length in enumerate(lengths):
        alone = framework(length)(model, drawn(lengths, steps, seed)[sample : sample + 1, :length])
        for readout in READOUTS:
            together = readout(outputs, torch.tensor(lengths))[sample]
            torch.testing.assert_close(together, readout(alone)[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", ["batch", "tdbn", "tebn", "bntt", "group"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("loss", [CrossEntropy(Mean()), TET(), SpikeCount()])
def test_in_training_padding_changes_no_gradient_and_no_statistic(framework, norm: str, loss: Any) -> None:
    lengths, y = [4, 1, 3, 2, 4], torch.tensor([0, 1, 2, 0, 1])
    seen = []
    for steps, seed in ((4, 0), (9, 1)):
        model = net(norm).train()
        index = torch.arange(N)
        x, valid = drawn(lengths, steps, seed), torch.tensor(lengths)
        outputs = framework(steps)(model, x, valid)
        loss(outputs, Batch(x, y, valid, index, index)).backward()
        gradients = {name: each.grad for name, each in model.named_parameters() if name != "norm1.scale"}
        seen.append({**gradients, **dict(model.named_buffers())})
    assert seen[0].keys() == seen[1].keys()
    for name, values in seen[0].items():
        if values is not None and not name.endswith("num_batches_tracked") and name_of_step(name) < 4:
            torch.testing.assert_close(seen[1][name], values, atol=1e-9, rtol=1e-9, msg=name)


@pytest.mark.parametrize("norm", ["batch", "tebn", "bntt"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=5)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(1, 6))
def test_a_batch_that_is_cut_to_its_longest_sample_is_the_same(
    framework, norm: str, training: bool, lengths: list[int], more: int
) -> None:
    steps, longest, valid = max(lengths) + more, max(lengths), torch.tensor(lengths)
    x = drawn(lengths, steps)
    cut, whole = net(norm).train(training), net(norm).train(training)
    results = framework(steps)(cut, x[:, :longest], valid), framework(steps)(whole, x, valid)
    assert len(results[0]) == longest
    for readout in READOUTS:
        torch.testing.assert_close(readout(results[0], valid), readout(results[1], valid), atol=1e-6, rtol=0)
    buffers = dict(whole.named_buffers())
    for name, values in cut.named_buffers():
        torch.testing.assert_close(values, buffers[name], atol=1e-6, rtol=0, msg=name)


def name_of_step(name: str) -> int:
    """The timestep that a norm of BNTT is for; 0 for all others."""
    return next((int(part) for part in name.split(".") if part.isdecimal()), 0)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_batch_norm_has_the_statistics_of_the_valid_rows(framework) -> None:
    """torch's own batch norm over the valid frames: of all timesteps at once, or of one after the other."""
    lengths = [3, 1, 2]
    norm, reference = layer.BatchNorm1d(C).double(), nn.BatchNorm1d(C).double()
    model = nn.Sequential(norm).train()
    x = drawn(lengths, 4)
    outputs = framework(4)(model, x, torch.tensor(lengths))
    frames = [torch.stack([x[n, t] for n in range(3) if t < lengths[n]]) for t in range(3)]
    expected = reference(torch.cat(frames)) if framework is MultiStepTID else torch.cat([reference(f) for f in frames])
    got = torch.cat([outputs[t, n][None] for t in range(4) for n in range(3) if t < lengths[n]])
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(norm.running_mean, reference.running_mean)
    torch.testing.assert_close(norm.running_var, reference.running_var)
    assert all(not outputs[t, n].any() for t in range(4) for n in range(3) if t >= lengths[n])


def test_a_single_valid_value_is_normalised_by_the_running_statistics() -> None:
    """It has no variance: torch's batch norm refuses it."""
    model = nn.Sequential(layer.BatchNorm1d(1)).train()
    model[0].running_mean.fill_(2.0)
    model[0].running_var.fill_(4.0)
    x = torch.tensor([[[[5.0]], [[8.0]]], [[[1.0]], [[9.0]]]])  # [N=2,T=2,C=1,S=1]
    outputs = SingleStepTID(2)(model, x, torch.tensor([2, 1]))
    mean, var = torch.tensor([5.0, 1.0]).mean(), torch.tensor([5.0, 1.0]).var()
    moved = (0.9 * 2 + 0.1 * mean, 0.9 * 4 + 0.1 * var)
    torch.testing.assert_close(outputs[1, 0, 0, 0], (8 - moved[0]) / (moved[1] + 1e-5).sqrt())
    torch.testing.assert_close(model[0].running_mean, moved[0][None])
    assert outputs[1, 1, 0, 0] == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_model_that_owns_time_sees_valid_timesteps_alone(framework) -> None:
    torch.manual_seed(0)
    make = lambda: neuron.LIFNode(v_threshold=0.2)  # noqa: E731
    original = MSResNet(input_shape=[2, 8, 10], classes=3, timesteps=4, neuron=make, channels=4).double().train()
    x = torch.randn(3, 4, 2, 8, 10, dtype=torch.float64)
    other = x.clone()
    other[1, 2:] = 7.0
    buffers = []
    for values in (x, other):
        model = copy.deepcopy(original)
        framework(4)(model, values, torch.tensor([4, 2, 4]))
        buffers.append(dict(model.named_buffers()))
    changed = [
        name for name, value in buffers[0].items() if not torch.equal(value, dict(original.named_buffers())[name])
    ]
    assert any("running_mean" in name for name in changed)
    for name, value in buffers[0].items():
        torch.testing.assert_close(buffers[1][name], value, msg=name)


def test_nothing_is_left_behind_and_evaluation_is_untouched(monkeypatch) -> None:
    model = net()
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    keep: Callable[[Tensor], Tensor] = norms[0].forward
    norms[0].__dict__["forward"] = keep  # such as a fast path puts there
    for training in (True, False):
        with valid_statistics(model.train(training), torch.tensor([1]), 2):
            assert (norms[0].forward is not keep) == training
        assert norms[0].forward is keep
    with pytest.raises(RuntimeError, match="inside"), valid_statistics(model.train(), torch.tensor([1]), 2):
        raise RuntimeError("inside")
    assert norms[0].forward is keep
    with valid_statistics(model.train(), None, 2):
        assert norms[0].forward is keep


def test_rows_that_are_no_samples_are_refused() -> None:
    model = nn.Sequential(nn.BatchNorm1d(1)).train()
    with (
        valid_statistics(model, torch.tensor([1, 2]), 2),
        pytest.raises(ValueError, match="cannot tell what is padding"),
    ):
        model(torch.zeros(3, 1, 4))


def test_neurons_fire_in_these_tests() -> None:
    model, rates = net().eval(), []
    for module in model.modules():
        if is_neuron(module):
            module.register_forward_hook(lambda _module, _inputs, output: rates.append(output.mean().item()))
    MultiStepTID(4)(model, drawn([4, 4], 4), torch.tensor([4, 4]))
    assert all(0.05 < rate < 0.95 for rate in rates)
