"""Silent and saturated neurons, active surrogates, gradients by layer: against counts and formulas by hand."""

import math
from collections import OrderedDict

import pytest
import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import nn

from membrane.analysis.health import (
    GradientNorms,
    NeuronActivity,
    active_shares,
    constants,
    samples_to_watch,
    slope,
    total_norm,
    watched_surrogates,
)
from membrane.fast.fused import fuse
from membrane.framework import MultiStep, MultiStepTID, SingleStep
from membrane.neurons.gated_lif import GatedLIF
from membrane.neurons.integer_lif import ILIF
from membrane.neurons.learnable_threshold import ATIF
from membrane.neurons.learned import learned_values
from membrane.neurons.online import SLTTLIF


def net(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict((f"n{position}", each) for position, each in enumerate(modules)))


def activity_of(model: nn.Module, x: torch.Tensor, lengths: torch.Tensor | None = None) -> dict[str, dict[str, float]]:
    activity, framework = NeuronActivity(model), MultiStep(4) if lengths is None else MultiStepTID(4)
    with activity, torch.no_grad():
        activity.start(lengths)
        framework(model, x, lengths)
    return activity.shares()


def test_a_layer_that_cannot_fire_and_one_that_always_does() -> None:
    silent, always = neuron.IFNode(v_threshold=100.0), neuron.IFNode(v_threshold=0.5)
    shares = activity_of(net(always, silent), torch.ones(3, 5))
    assert shares["silent"] == {"n0": 0.0, "n1": 1.0}
    assert shares["saturated"] == {"n0": 1.0, "n1": 0.0}


@pytest.mark.parametrize("framework", [SingleStep(4), MultiStep(4)])
def test_neurons_and_channels_are_counted_over_batches_and_timesteps(framework: SingleStep | MultiStep) -> None:
    # IF of threshold 1 and reset to 0: input 0 never fires, 1 at each timestep, 0.5 at every second
    x = torch.zeros(2, 3, 1, 2)
    x[:, 0] = 1.0
    x[0, 1, 0, 0] = 0.5
    model = net(neuron.IFNode())
    activity = NeuronActivity(model)
    with activity, torch.no_grad():
        for batch in (x[:1], x[1:]):
            activity.start()
            framework(model, batch)
    shares = activity.shares()
    assert {column: share["n0"] for column, share in shares.items()} == pytest.approx(
        {"silent": 3 / 6, "saturated": 2 / 6, "silent_channels": 1 / 3, "saturated_channels": 1 / 3}
    )
    activity.reset()
    assert all(math.isnan(share["n0"]) for share in activity.shares().values())


def test_padding_is_no_timestep() -> None:
    x = torch.zeros(2, 4, 2, 1)  # [N,T,C,S]
    x[0, 0], x[1, :3] = 1.0, 1.0
    x[0, 1:, 0] = 5.0  # behind the end of the first sample
    shares = activity_of(net(neuron.IFNode()), x, torch.tensor([1, 3]))
    assert shares["saturated"] == {"n0": 1.0}
    x[1, 2, 1] = 0.0
    assert activity_of(net(neuron.IFNode()), x, torch.tensor([1, 3]))["saturated"] == {"n0": 0.5}


def test_scaled_and_counted_spikes_fire_as_others_do() -> None:
    x = torch.tensor([[3.0, -1.0]])
    for node in (ATIF(), ILIF()):
        shares = activity_of(net(node), x)
        assert (shares["silent"], shares["saturated"]) == ({"n0": 0.5}, {"n0": 0.5}), node


@pytest.mark.parametrize("alpha", [2.0, 50.0])
@pytest.mark.parametrize("fused", [False, True])
def test_the_share_of_active_gradients_of_atan_is_that_of_its_formula(alpha: float, fused: bool) -> None:
    # α/2 / (1 + (πα/2·u)²) is a hundredth of its largest value α/2 where |u| = √99·2/(πα)
    reach = math.sqrt(99) * 2 / (math.pi * alpha)
    x = torch.linspace(-3, 5, 1000).reshape(1, 1000)
    model = net(neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan(alpha)))
    if fused:
        fuse(model)
    expected, v = [], torch.zeros(1000)
    for _ in range(3):  # h[t] = v + x, soft reset
        h = v + x[0]
        expected.append((h - 1).abs() <= reach)
        v = h - (h >= 1).float()
    before = model.n0.surrogate_function  # type: ignore[union-attr]
    assert active_shares(model, MultiStep(3), x)["n0"] == torch.stack(expected).double().mean().item()
    assert model.n0.surrogate_function is before  # type: ignore[union-attr]


def test_the_share_leaves_padding_out_and_looks_at_some_of_many_potentials() -> None:
    model = net(neuron.IFNode(surrogate_function=surrogate.Rect(alpha=1.0)))  # active where |u| < 1/2
    x = torch.zeros(2, 2, 30, 1)
    x[0, 0], x[1, 0], x[1, 1] = 0.9, 0.1, 0.9
    with torch.no_grad(), watched_surrogates(model, torch.tensor([1, 2])) as watched:
        MultiStepTID(2)(model, x, torch.tensor([1, 2]))
    assert watched["n0"].share() == pytest.approx(2 / 3)
    wide = torch.rand(4, 50_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), watched_surrogates(model) as watched:
        MultiStep(1)(model, wide)
    assert watched["n0"].size < 5000
    assert watched["n0"].share() == pytest.approx((wide > 0.5).float().mean().item(), abs=0.03)


def test_neurons_whose_surrogate_cannot_be_watched_have_no_share() -> None:
    for node in (ILIF(), SLTTLIF()):
        framework = SingleStep(2) if isinstance(node, SLTTLIF) else MultiStep(2)
        assert math.isnan(active_shares(net(node), framework, torch.rand(2, 3))["n0"]), node


@pytest.mark.parametrize(
    "node", [neuron.PSN(T=3), neuron.KLIFNode(), GatedLIF(T=3), neuron.EIFNode(), ATIF(), neuron.LIFNode(2.0)]
)
def test_other_neurons_have_a_share_and_the_same_spikes(node: nn.Module) -> None:
    model, x = net(node), torch.rand(2, 8)
    share = active_shares(model, MultiStep(3), x)["n0"]
    assert 0 < share <= 1
    with torch.no_grad():
        plain = MultiStep(3)(model, x)
        with watched_surrogates(model):
            assert torch.equal(MultiStep(3)(model, x), plain)


def test_few_samples_of_a_small_batch_are_watched() -> None:
    assert [samples_to_watch(size) for size in (1, 4, 32, 64, 512)] == [2, 2, 4, 8, 8]


def test_the_slope_is_the_surrogates_derivative() -> None:
    u = torch.tensor([-1.0, 0.0, 2.0])
    s = torch.sigmoid(4 * u)
    torch.testing.assert_close(slope(surrogate.Sigmoid(alpha=4.0), u), 4 * s * (1 - s))


def test_gradient_norms_are_those_of_a_hand_computed_gradient() -> None:
    # y = w·x + b with loss Σy: dw = Σx, db = N; the mean is over the two steps
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[1].weight.fill_(1.0)
    norms = GradientNorms(model)
    assert all(math.isnan(value) for value in norms.means().values())
    first, second = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0], [0.0, 2.0]])
    for x in (first, second):
        model.zero_grad()
        model(x).sum().backward()
        norms.measure()
    expected = (math.sqrt(9 + 16 + 1) + math.sqrt(16 + 4)) / 2
    assert norms.means()["0"] == pytest.approx(expected, rel=1e-6)
    assert list(norms.means()) == ["0", "1"]
    norms.reset()
    model.zero_grad(set_to_none=True)
    norms.measure()
    assert norms.means() == {"0": 0.0, "1": 0.0}


def test_a_layer_is_what_has_a_matrix_of_weights() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), neuron.ParametricLIFNode(), layer.Linear(2, 2))
    assert list(GradientNorms(model).layers) == ["0", "3"]
    assert GradientNorms(net(neuron.IFNode())).means() == {}
    assert total_norm([torch.tensor([3.0]), torch.tensor([4.0])], torch.zeros(1)).item() == 5.0


def test_learned_constants_are_what_their_parameters_stand_for() -> None:
    plif, glif, psn, atif = neuron.ParametricLIFNode(init_tau=3.0), GatedLIF(T=2), neuron.PSN(T=2), ATIF()
    with torch.no_grad():
        psn.bias.copy_(torch.tensor([[-0.5], [-1.5]]))
        glif.alpha.fill_(0.0)
        glif.tau.fill_(0.0)
        glif.v_threshold.fill_(0.0)
    columns = constants(net(plif, glif, psn, atif))
    assert columns["tau/n0"] == pytest.approx(1 / torch.sigmoid(plif.w).item()) == pytest.approx(3.0)
    assert columns["tau/n1"] == pytest.approx(4.0)  # v decays by 1 − ½·(1 − ½) = 1 − 1/4
    assert columns["threshold/n1"] == 0.5
    assert [columns[f"threshold{each}/n2"] for each in ("", "_min", "_max")] == [1.0, 0.5, 1.5]
    assert columns["threshold/n3"] == pytest.approx(atif.v_threshold.item())
    assert set(learned_values(net(plif))[0]) == {"n0"}
