"""Firing rates against spikes counted by hand and by SpikingJelly's own monitor."""

import math
from collections import OrderedDict

import pytest
import torch
from spiking_nets import convolutional
from spikingjelly.activation_based import layer, monitor, neuron
from torch import Tensor, nn

from membrane.analysis.firing import FiringRates, nonzero_and_sum, odd_layers, record_spikes
from membrane.framework import Framework, MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.own_time import OwnsTime

REPEATED = [SingleStep(4), MultiStep(4)]
IN_DATA = [SingleStepTID(4), MultiStepTID(4)]


class Doubled(neuron.IFNode):
    """Spikes of size 2."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def accumulators() -> nn.Sequential:
    """IF neurons (threshold 1, reset to 0) on the flattened input, named `body.spikes`."""
    return nn.Sequential(OrderedDict(flatten=layer.Flatten(), body=nn.Sequential(OrderedDict(spikes=neuron.IFNode()))))


class Own(OwnsTime, nn.Module):
    """IF neurons (threshold 1, reset to 0) and ReLUs on the flattened input, in step mode 'm' throughout."""

    def __init__(self, act: type[nn.Module] = neuron.IFNode) -> None:
        super().__init__()
        self.flatten = layer.Flatten(step_mode="m")
        self.spikes = act(step_mode="m") if act is neuron.IFNode else act()
        self.head = layer.Linear(3, 2, step_mode="m")

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        return self.head(self.spikes(self.flatten(x_seq)))


def measured(model: nn.Module, framework: Framework, x: Tensor, lengths: Tensor | None = None) -> FiringRates:
    rates = FiringRates(model)
    with rates:
        rates.start(lengths)
        framework(model, x, lengths)
    return rates


@pytest.mark.parametrize("framework", REPEATED)
def test_constant_input_fires_as_counted_by_hand(framework: Framework) -> None:
    # Over four steps 0.5 reaches 1 at steps 2 and 4; 1.0 at every step; 0.3 at step 4 (1.2); 0 never.
    rates = measured(accumulators(), framework, torch.tensor([[0.5, 1.0, 0.3, 0.0]]))
    assert rates.rates() == {"body.spikes": pytest.approx((2 + 4 + 1 + 0) / 16)}
    assert rates.means() == rates.rates()


@pytest.mark.parametrize("framework", REPEATED)
def test_scaled_spikes_have_another_mean_than_rate(framework: Framework) -> None:
    rates = measured(nn.Sequential(Doubled()), framework, torch.tensor([[0.5, 1.0]]))
    assert rates.rates()["0"] == pytest.approx(6 / 8)
    assert rates.means()["0"] == pytest.approx(12 / 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_counts_and_sums_of_outputs_are_torchs(dtype: torch.dtype) -> None:
    spikes = (torch.rand(3, 4, 5, 6, 7) < 0.2).to(dtype)
    last = spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 4))
    analog = torch.where(spikes > 0, 1.0, torch.randn(3, 4, 5, 6, 7).to(dtype))
    for output in (spikes, -spikes, 2 * spikes, last, last[:, ::2], torch.zeros(3, 2).to(dtype), analog):
        nonzero, total = nonzero_and_sum(output)
        assert (nonzero, total) == ((output != 0).sum().double(), output.sum(dtype=torch.float64))
        assert (nonzero.dtype, total.dtype) == (torch.float64, torch.float64)
    assert nonzero_and_sum(torch.full((2,), torch.nan, dtype=dtype))[1].isnan()


@pytest.mark.parametrize("framework", REPEATED)
def test_rates_are_those_of_spikingjellys_monitor(framework: Framework) -> None:
    net, x = convolutional(), 3 * torch.rand(3, 1, 5, 5)
    with torch.no_grad():
        rates = measured(net, framework, x).rates()
        recorder = monitor.OutputMonitor(net, neuron.LIFNode)
        framework(net, x)
    for name in ("2", "5"):
        spikes = torch.cat([record.flatten() for record in recorder[name]])
        assert rates[name] == pytest.approx(spikes.mean().item(), abs=1e-6)
        assert 0 < rates[name] < 1
    recorder.remove_hooks()


def test_single_step_and_multi_step_agree() -> None:
    net, x = convolutional(), 3 * torch.rand(5, 1, 5, 5)
    single, multi = (measured(net, framework, x).rates() for framework in REPEATED)
    assert list(single) == ["2", "5"]
    assert single == pytest.approx(multi)


@pytest.mark.parametrize("framework", IN_DATA)
def test_only_valid_timesteps_count_and_batches_add_up(framework: Framework) -> None:
    net = accumulators()
    rates = FiringRates(net)
    x = torch.stack([torch.full((4, 1, 3), 0.5), torch.full((4, 1, 3), 1.0)])
    with rates:
        rates.start(torch.tensor([2, 3]))
        framework(net, x, torch.tensor([2, 3]))
        # Sample 1: of its 2 steps the second fires. Sample 2: all of its 3 steps fire. Three neurons each.
        assert rates.rates()["body.spikes"] == pytest.approx(3 * (1 + 3) / (3 * (2 + 3)))
        rates.start(None)
        framework(net, x[:1])
    assert rates.rates()["body.spikes"] == pytest.approx((12 + 6) / (15 + 12))
    rates.reset()
    assert math.isnan(rates.rates()["body.spikes"])


@pytest.mark.parametrize("framework", IN_DATA)
@pytest.mark.parametrize("act", [neuron.IFNode, nn.ReLU])
def test_a_model_that_owns_time_counts_valid_timesteps_too(framework: Framework, act: type[nn.Module]) -> None:
    # Single-step calls it T times, and its layers put out [1,N,…] in step mode 'm' each time.
    fires = [[0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0]]
    x = torch.tensor(fires).reshape(2, 4, 1, 1, 1).expand(2, 4, 1, 1, 3).clone()
    x[1, 3] = x[0, 2] = -1.0
    rates = measured(Own(act), framework, x, torch.tensor([3, 4]))
    # IF: sample 1 fires at the second of its 3 steps, sample 2 at three of its 4. ReLU: at two, and at three.
    assert rates.rates() == {"spikes": pytest.approx(((1 if act is neuron.IFNode else 2) + 3) / 7)}


def test_spikes_of_a_model_that_owns_time_are_recorded_step_by_step() -> None:
    x = torch.tensor([0.5, 1.0, 0.3]).reshape(1, 1, 1, 3)
    for framework in REPEATED:
        [spikes] = record_spikes(Own(), framework, x).values()
        assert spikes.tolist() == [[0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize("framework", IN_DATA)
def test_an_ann_counts_its_relus_in_either_step_mode(framework: Framework) -> None:
    twin = nn.Sequential(OrderedDict(flatten=layer.Flatten(), act=nn.ReLU()))
    x = torch.tensor([[1.0, -1.0, 3.0, 2.0], [-1.0, 5.0, -1.0, 2.0]]).reshape(2, 4, 1, 1)
    rates = measured(twin, framework, x, torch.tensor([3, 2]))
    assert rates.rates() == {"act": pytest.approx(3 / 5)}  # 1, 3 of the first three; 5 of the first two
    assert rates.means() == {"act": pytest.approx((1 + 3 + 5) / 5)}


def test_an_snns_relu_is_no_neuron_layer() -> None:
    net = nn.Sequential(OrderedDict(gate=nn.ReLU(), spikes=neuron.IFNode()))
    assert list(measured(net, SingleStep(2), torch.ones(1, 2)).rates()) == ["spikes"]


def test_nothing_is_hooked_outside_the_block_even_after_an_error() -> None:
    net = accumulators()
    rates = FiringRates(net)
    spikes = net.get_submodule("body.spikes")
    with rates:
        assert len(spikes._forward_hooks) == 1
    assert not spikes._forward_hooks
    with pytest.raises(ValueError, match="got"), rates:
        MultiStepTID(2)(net, torch.ones(1, 3))
    assert not spikes._forward_hooks
    SingleStep(2)(net, torch.ones(1, 3))
    assert math.isnan(rates.rates()["body.spikes"])


def test_lengths_that_do_not_fit_are_refused() -> None:
    rates = FiringRates(net := accumulators())
    rates.start(torch.ones(5, dtype=torch.long))
    with rates, pytest.raises(ValueError, match=r"\[2, 3\] does not fit 5 lengths"):
        SingleStep(2)(net, torch.ones(2, 3))


@pytest.mark.parametrize("framework", REPEATED)
def test_recorded_spikes_are_those_by_hand_and_leave_the_model_alone(framework: Framework) -> None:
    net = accumulators().train()
    spikes = record_spikes(net, framework, torch.tensor([[[0.5, 1.0], [0.3, 0.0]]]))
    assert list(spikes) == ["body.spikes"]
    expected = [[0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0]]
    assert spikes["body.spikes"].tolist() == expected
    assert all(module.training for module in net.modules())
    assert not net.get_submodule("body.spikes")._forward_hooks


def test_only_one_sample_is_recorded() -> None:
    with pytest.raises(ValueError, match=r"one sample, x \[1,…\], got \[2, 3\]"):
        record_spikes(accumulators(), SingleStep(2), torch.ones(2, 3))


def test_odd_layers_are_told_with_what_helps() -> None:
    lines = odd_layers({"dead": 0.0, "rare": 0.0009, "fine": 0.001, "busy": 0.99, "full": 0.995, "unseen": math.nan})
    assert [line.split(":")[0] for line in lines] == [
        "dead is silent (0.00 % of outputs non-zero)",
        "rare is silent (0.09 % of outputs non-zero)",
        "full is saturated (99.50 % of outputs non-zero)",
    ]
    assert "lower v_threshold" in lines[0]
    assert "raise v_threshold" in lines[2]
    assert odd_layers({"real": 1.0, "dead": 0.0}, analog=["real", "dead"]) == [lines[0]]
