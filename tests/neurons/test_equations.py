"""The further neurons against their equations, stepped in plain Python: charge, fire, reset."""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.neurons import NeuronFactory, is_neuron, make_neuron
from membrane.neurons.gated_lif import GatedLIF
from membrane.neurons.learnable_threshold import ATIF, IFSRL
from membrane.randomness import generator
from membrane.training.assembly import build_model

T = 12
State = dict[str, float]
Step = Callable[[State, float], float]


def reset(state: State, h: float, spike: bool, threshold: float, to: float | None) -> float:
    """What is left of h after a spike or none: soft (minus the threshold) where there is nothing to reset to."""
    state["v"] = (h - threshold if to is None else to) if spike else h
    return float(spike)


def klif(state: State, x: float) -> float:
    """KLIF (Jiang, Zhang 2023), eq. 5: F = max(0, k·h), here with k = 1.5; fires and resets by F."""
    h = state["v"] + (x - state["v"]) / 2
    fired = max(0.0, 1.5 * h)
    return reset(state, fired, fired >= 1, 1.0, 0.0)


def qif(state: State, x: float) -> float:
    """τ·dv/dt = a0·(v − v_rest)·(v − v_c) + x (Gerstner et al. 2014, eq. 5.16)."""
    v = state["v"]
    h = v + (x + 1.0 * (v - 0.0) * (v - 0.8)) / 2
    return reset(state, h, h >= 1, 1.0, -0.1)


def eif(state: State, x: float) -> float:
    """τ·dv/dt = −(v − v_rest) + Δ·exp((v − θ)/Δ) + x (Gerstner et al. 2014, eq. 5.6)."""
    v = state["v"]
    h = v + (x - v + 1.0 * math.exp((v - 0.8) / 1.0)) / 2
    return reset(state, h, h >= 1, 1.0, None)


def cuba(state: State, x: float) -> float:
    """A current with decay 0.5 charges a potential with decay 0.75; the threshold is 0.5."""
    state["c"] = 0.5 * state["c"] + x
    h = 0.75 * state["v"] + state["c"]
    return reset(state, h, h >= 0.5, 0.5, 0.0)


def ifsrl(state: State, x: float) -> float:
    """Integrate and fire with a soft reset by the threshold, here 0.875."""
    h = state["v"] + x
    return reset(state, h, h >= 0.875, 0.875, None)


def glif(state: State, x: float) -> float:
    """GLIF (Yao et al. 2022), eq. 4 to 8, with the gates α, β, γ at 1/2 and the constants as they start."""
    v, s, decay = state["v"], state["s"], 1 - 0.5 * (1 - 0.25)
    u = decay * v - 0.5 * 0.5 / (2 * T) + x * (1 - 0.5 * (1 - 0.5))
    u = u - decay * v * 0.5 * s - 0.5 * 0.5 * s
    state["v"], state["s"] = u, float(u >= 0.5)
    return state["s"]


def with_value(made: nn.Module, **values: float) -> nn.Module:
    """The neuron with the values of learned parameters set."""
    for name, value in values.items():
        nn.init.constant_(made.get_parameter(name), value)
    return made


CASES: dict[str, tuple[Callable[[], nn.Module], Step, State]] = {
    "klif": (lambda: with_value(make_neuron(neuron.KLIFNode, surrogate.ATan), k=1.5), klif, {"v": 0.0}),
    "qif": (lambda: make_neuron(neuron.QIFNode, surrogate.ATan), qif, {"v": -0.1}),
    "eif": (lambda: make_neuron(neuron.EIFNode, surrogate.ATan, v_reset=None), eif, {"v": 0.0}),
    "cuba_lif": (lambda: make_neuron(neuron.CUBALIFNode, surrogate.ATan), cuba, {"v": 0.0, "c": 0.0}),
    "ifsrl": (lambda: with_value(make_neuron(IFSRL, surrogate.ATan), v_threshold=0.875), ifsrl, {"v": 0.0}),
    "glif": (
        lambda: with_value(make_neuron(GatedLIF, surrogate.ATan, T=T), alpha=0.0, beta=0.0, gamma=0.0),
        glif,
        {"v": 0.0, "s": 0.0},
    ),
}


def inputs(*shape: int) -> Tensor:
    """x [N,T,…], strong enough to fire and to fall below rest; nothing on an edge between a spike and none."""
    return 1.2 * torch.randn(2, T, *shape, generator=generator(0, "data"), dtype=torch.float64) + 0.3


RUNS = [(name, strategy) for name in CASES for strategy in (SingleStepTID, MultiStepTID)]
RUNS.remove(("glif", SingleStepTID))  # it has no single-step mode


@pytest.mark.parametrize(("name", "strategy"), RUNS)
@pytest.mark.parametrize("shape", [(3, 1), (2, 2, 2)], ids=["1-D", "2-D"])
def test_spikes_are_those_of_the_equations(name: str, strategy: Callable[[int], Any], shape: tuple[int, ...]) -> None:
    make, step, start = CASES[name]
    x = inputs(*shape)
    outputs = strategy(T)(make().double(), x)
    assert outputs.shape == (T, 2, *shape)
    assert 0.1 < outputs.mean() < 0.9
    for place in torch.cartesian_prod(*(torch.arange(size) for size in (2, *shape))).tolist():
        n, *rest = place
        state = dict(start)
        expected = [step(state, value) for value in x[(n, slice(None), *rest)].tolist()]
        assert outputs[(slice(None), n, *rest)].tolist() == expected


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
def test_sliding_and_masked_psn_are_their_weighted_sums(strategy: Callable[[int], Any]) -> None:
    # Fang et al. 2023: sliding, H[t] = Σ_i W_i·X[t−k+1+i]; masked, H = (W∘M)·X with M[t][u] = 1 for t−k < u ≤ t
    x = inputs(3, 1)
    for kind, parameters in ((neuron.SlidingPSN, {"k": 3}), (neuron.MaskedPSN, {"k": 3, "T": T, "lambda_init": 1.0})):
        made = make_neuron(kind, surrogate.ATan, **parameters).double()
        nn.init.uniform_(made.weight, 0.2, 1.0)
        outputs = strategy(T)(made, x)
        assert 0.1 < outputs.mean() < 0.9
        for t in range(T):
            window = range(max(0, t - 2), t + 1)
            weight = [made.weight[u - t + 2] if made.weight.dim() == 1 else made.weight[t, u] for u in window]
            h = sum(w * x[:, u] for w, u in zip(weight, window, strict=True))
            assert torch.equal(outputs[t], (h >= 1).double())  # the bias starts at −1


def test_psn_is_one_matrix_over_time() -> None:
    x, made = inputs(3, 1), make_neuron(neuron.PSN, surrogate.ATan, T=T).double()
    nn.init.normal_(made.weight)
    expected = torch.einsum("tu,nu...->tn...", made.weight, x) >= 1
    assert torch.equal(MultiStepTID(T)(made, x), expected.double())


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
def test_atif_scales_the_spikes_of_ifsrl_by_its_threshold(strategy: Callable[[int], Any]) -> None:
    x = inputs(3, 1)
    binary, scaled = (
        with_value(make_neuron(kind, surrogate.ATan), v_threshold=0.875).double() for kind in (IFSRL, ATIF)
    )
    assert torch.equal(strategy(T)(scaled, x), 0.875 * strategy(T)(binary, x))


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
@pytest.mark.parametrize("detach", [False, True])
def test_the_gradient_of_a_learned_threshold_worked_out_by_hand(strategy: Callable[[int], Any], detach: bool) -> None:
    # Two steps of x = (1.5, 0.25) at θ = 1, sigmoid with α = 1, g(u) = σ(u)(1 − σ(u)):
    # h1 = 1.5, s1 = 1; v1 = 0.5; h2 = 0.75, s2 = 0. ds1/dθ = −g(0.5); dv1/dθ = −s1 − θ·ds1/dθ, detached −s1;
    # ds2/dθ = g(−0.25)·(dv1/dθ − 1)
    g = lambda u: 1 / (1 + math.exp(-u)) * (1 - 1 / (1 + math.exp(-u)))  # noqa: E731
    made = with_value(make_neuron(IFSRL, partial(surrogate.Sigmoid, alpha=1.0), detach_reset=detach), v_threshold=1.0)
    made = made.double()
    strategy(2)(made, torch.tensor([1.5, 0.25], dtype=torch.float64).reshape(1, 2, 1, 1)).sum().backward()
    first = -g(0.5)
    second = g(-0.25) * (-1 - (0 if detach else first) - 1)
    assert made.v_threshold.grad.item() == pytest.approx(first + second)


def test_learned_thresholds_start_between_four_fifths_and_the_whole_and_are_parameters() -> None:
    factory = NeuronFactory(ATIF, surrogate.ATan, {"v_threshold": 2.0}, timesteps=4, seed=0)
    starts = [factory().v_threshold for _ in range(50)]
    assert all(isinstance(start, nn.Parameter) and 1.6 <= start.item() < 2.0 for start in starts)
    assert max(starts) - min(starts) > 0.3
    assert isinstance(IFSRL().surrogate_function, surrogate.Sigmoid)
    assert IFSRL().surrogate_function.alpha == 1.0


@pytest.mark.parametrize("kind", [IFSRL, ATIF])
def test_learned_thresholds_are_uniform_between_the_bounds_that_are_set(kind: type[nn.Module]) -> None:
    n, low, high, theta = 2000, 0.5, 1.5, 2.0
    bounds = {"v_threshold": theta, "vth_init_l": low, "vth_init_h": high}
    factory = NeuronFactory(kind, surrogate.ATan, bounds, timesteps=4, seed=0)
    starts = [factory().v_threshold.item() / theta for _ in range(n)]
    assert all(low <= start < high for start in starts)
    for quantile in (0.1, 0.5, 0.9):  # four standard errors of a binomial share
        share = sum(start < low + quantile * (high - low) for start in starts) / n
        assert abs(share - quantile) < 4 * (quantile * (1 - quantile) / n) ** 0.5
    # one draw of the same stream for each neuron, stretched
    usual = NeuronFactory(kind, surrogate.ATan, {"v_threshold": theta}, timesteps=4, seed=0)
    drawn = [(usual().v_threshold.item() / theta - 0.8) / 0.2 for _ in range(20)]
    assert starts[:20] == pytest.approx([low + share * (high - low) for share in drawn], abs=1e-5)


def test_a_learned_threshold_may_start_at_one_value_and_its_bounds_are_in_order() -> None:
    made = make_neuron(IFSRL, surrogate.ATan, v_threshold=2, vth_init_l=1, vth_init_h=1)
    assert made.v_threshold.item() == 2.0
    for low, high in ((1.1, 1.0), (0.0, 1.0), (-0.5, 0.5)):
        line = f"IFSRL: vth_init_l={low} must be above 0 and at most vth_init_h={high}"
        with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
            make_neuron(IFSRL, surrogate.ATan, vth_init_l=low, vth_init_h=high)
        with pytest.raises(ConfigError, match=r"^neuron.*vth_init_l"):
            configured("neuron=ifsrl", f"neuron.vth_init_l={low}", f"neuron.vth_init_h={high}")


def test_bounds_of_the_threshold_change_nothing_else_that_is_drawn() -> None:
    def weights(*typed: str) -> dict[str, Tensor]:
        return dict(build_model(configured("model=smlp", *typed)).state_dict())

    usual, wide, twin = weights("neuron=atif"), weights("neuron=atif", "neuron.vth_init_l=0.1"), weights("neuron=relu")
    assert {name for name, value in usual.items() if not torch.equal(value, wide[name])} == {"neuron1.v_threshold"}
    assert all(torch.equal(value, usual[name]) for name, value in twin.items())


def test_a_factory_tells_timesteps_draws_from_its_own_stream_and_repeats_itself() -> None:
    made = [NeuronFactory(neuron.PSN, surrogate.ATan, {}, timesteps=5, seed=3) for _ in range(2)]
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    first, second = made[0](), made[0]()
    assert torch.equal(torch.rand(1), before)
    assert first.weight.shape == (5, 5)
    assert not torch.equal(first.weight, second.weight)
    assert torch.equal(made[1]().weight, first.weight)
    assert NeuronFactory(neuron.PSN, surrogate.ATan, {"T": 7}, timesteps=5, seed=3)().weight.shape == (7, 7)
    assert NeuronFactory(neuron.CUBALIFNode, surrogate.ATan, {"v_threshold": 0.5}, 5, 3).v_threshold == 0.5


def test_glif_says_what_number_of_timesteps_it_has() -> None:
    made = make_neuron(GatedLIF, surrogate.ATan, T=4)
    with pytest.raises(ValueError, match="GLIF has a conductance for each of 4 timesteps, got 3"):
        MultiStepTID(3)(made, torch.randn(2, 3, 1, 5))
    with pytest.raises(ConfigError, match="GatedLIF: init_tau=x must be a number"):
        make_neuron(GatedLIF, surrogate.ATan, T=4, init_tau="x")


@pytest.mark.parametrize("kind", [ATIF, IFSRL, GatedLIF, neuron.PSN, neuron.MaskedPSN])
def test_all_of_them_count_as_neurons(kind: type[nn.Module]) -> None:
    needed = {"T": 4} if kind in (GatedLIF, neuron.PSN) else {"T": 4, "k": 2} if kind is neuron.MaskedPSN else {}
    assert is_neuron(kind(**needed))
