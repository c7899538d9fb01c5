"""Fused neurons against SpikingJelly's way through time: spikes and state equal in all bits, gradients to rounding."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, fx, nn

from membrane.config.check import check as checked
from membrane.fast import eager, fused, kernels
from membrane.fast.fused import describe_neurons, fuse
from membrane.fast.surrogate_gradients import C_DERIVATIVES
from membrane.neurons import neuron_layers
from membrane.neurons import surrogates as surrogates_of_ours
from membrane.neurons.leaky import Leaky
from membrane.training.assembly import build_learner

WAYS = ("compiled", "in place")
SHAPES = ((2,), (3, 5), (2, 3, 7), (2, 3, 4, 5), (1, 2, 1, 3), (4, 33, 17))
LAYOUTS = ("contiguous", "channels last", "batch first", "expanded", "every other")


@contextmanager
def way(name: str) -> Iterator[None]:
    """Inside, the fused neurons run that way."""
    with pytest.MonkeyPatch.context() as patch:
        if name == "in place":
            patch.setattr(kernels, "kernel_for", lambda form: None)
        yield


def draw(shape: tuple[int, ...], layout: str, seed: int = 0) -> Tensor:
    """x [T,N,…] with about as many spikes as none, in that layout."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.4
    if layout == "channels last" and x.dim() == 5:
        return x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, shape[:2])
    if layout == "batch first":
        return x.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "expanded":
        return x[:1].expand(shape)
    if layout == "every other":
        return torch.stack((x, x), dim=-1)[..., 0]
    return x


def outcome(module: nn.Module, inputs: list[Tensor], v: Tensor | None = None) -> dict[str, list[Tensor]]:
    """Spikes, the last potential and all gradients of calls one after the other, the state carried between them."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    module.reset()
    start = [] if v is None else [v.clone().requires_grad_()]
    if start:
        module.v = start[0] * 1.0
    spikes = [module(x) for x in inputs]
    draws = torch.Generator().manual_seed(1)
    total = sum((s.float() * torch.randn(s.shape, generator=draws)).sum() for s in spikes)
    total = total + (module.v.float() * torch.randn(module.v.shape, generator=draws)).sum()
    leaves = [*inputs, *start, *module.parameters()]
    return {"spikes": spikes, "v": [module.v], "gradients": list(torch.autograd.grad(total, leaves))}


def assert_equal(module: nn.Module, inputs: list[Tensor], v: Tensor | None = None) -> None:
    """The module, fused, does as it did before."""
    module.reset()
    ours = copy.deepcopy(module)
    assert fuse(ours) == [""]
    expected, got = outcome(module, inputs, v), outcome(ours, inputs, v)
    for name in ("spikes", "v"):
        assert all(map(torch.equal, expected[name], got[name])), name
    total = sum(float(g.abs().sum()) for g in expected["gradients"][: len(inputs)])
    for theirs, mine in zip(expected["gradients"], got["gradients"], strict=True):
        # A learned rate's gradient is a sum over all neurons: its rounding is that of what is summed.
        scale = max(1.0, float(theirs.abs().max()), 0.0 if theirs.dim() else total)
        assert float((theirs - mine).abs().max()) <= 1e-6 * scale


def made(kind: str, decay_input: bool, step_mode: str = "m", **settings: Any) -> nn.Module:
    """A neuron of SpikingJelly's, or Leaky, which leaves 1/τ of its potential."""
    tau = settings.pop("tau", 2.0)
    if kind == "Leaky":
        leaky = Leaky(1 / tau, settings["v_threshold"], settings["surrogate_function"])
        leaky.step_mode = step_mode
        return leaky
    told: dict[str, Any] = {} if kind in ("IFNode", "HalfThresholdIFNode") else {"decay_input": decay_input}
    if told:
        told["init_tau" if kind == "ParametricLIFNode" else "tau"] = tau
    if kind == "HalfThresholdIFNode":
        settings.pop("v_reset", None)
    built: nn.Module = getattr(neuron, kind)(**told, **settings, step_mode=step_mode)
    return built


NEURONS = st.builds(
    made,
    kind=st.sampled_from(["IFNode", "LIFNode", "ParametricLIFNode", "HalfThresholdIFNode", "Leaky"]),
    decay_input=st.booleans(),
    v_reset=st.sampled_from([None, 0.0, -0.3]),
    v_threshold=st.sampled_from([1.0, 0.7]),
    tau=st.sampled_from([2.0, 3.0, 16.0]),
    detach_reset=st.booleans(),
    surrogate_function=st.sampled_from([surrogate.ATan(), surrogate.Sigmoid()]),
)
CASES = {
    "module": NEURONS,
    "timesteps": st.sampled_from([1, 2, 5]),
    "shape": st.sampled_from(SHAPES),
    "layout": st.sampled_from(LAYOUTS),
    "seed": st.integers(0, 1000),
}


def check(name: str, module: nn.Module, timesteps: int, shape: tuple[int, ...], layout: str, seed: int) -> None:
    """Two calls, the state carried."""
    with way(name):
        assert_equal(module, [draw((timesteps, *shape), layout, seed + call) for call in range(2)])


@given(**CASES)
@settings(max_examples=60)
def test_in_place_does_as_spikingjelly(**case: Any) -> None:
    check("in place", **case)


def test_in_place_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "PIECE", 7)
    check("in place", made("ParametricLIFNode", True), 5, (4, 33, 17), "contiguous", 0)


@pytest.mark.slow
@given(**CASES)
@settings(max_examples=300)
def test_compiled_does_as_spikingjelly(**case: Any) -> None:
    check("compiled", **case)


@pytest.mark.product
@pytest.mark.parametrize("timesteps", [1, 7, 70])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "module",
    [
        made("IFNode", False, v_reset=None, surrogate_function=surrogate.ATan()),
        made("LIFNode", True, v_reset=-0.3, tau=3.0, surrogate_function=surrogate.Sigmoid()),
        made("ParametricLIFNode", True, surrogate_function=surrogate.ATan()),
        made("ParametricLIFNode", False, v_reset=None, detach_reset=True, surrogate_function=surrogate.ATan()),
        made("Leaky", False, tau=1 / 0.9, v_threshold=0.7, surrogate_function=surrogate.ATan()),
    ],
    ids=["if", "lif", "plif", "plif_soft", "leaky"],
)
def test_compiled_in_every_layout(module: nn.Module, layout: str, shape: tuple[int, ...], timesteps: int) -> None:
    assert_equal(module, [draw((timesteps, *shape), layout, call) for call in range(2)])


def surrogates() -> list[nn.Module]:
    """All of SpikingJelly's and ours whose spike is Heaviside's step."""
    return [getattr(surrogate if hasattr(surrogate, name) else surrogates_of_ours, name)() for name in C_DERIVATIVES]


@pytest.mark.parametrize("shape", surrogates(), ids=lambda shape: type(shape).__name__)
@pytest.mark.parametrize("name", [pytest.param("compiled", marks=pytest.mark.slow), "in place"])
def test_every_surrogate(shape: nn.Module, name: str) -> None:
    module = neuron.IFNode(v_reset=None, surrogate_function=shape, step_mode="m")
    with way(name):
        assert_equal(module, [draw((4, 3, 50), "contiguous", seed) * 1.5 for seed in range(2)])


def test_no_surrogate_is_forgotten() -> None:
    base = surrogate.SurrogateFunctionBase
    both = {**vars(surrogate), **vars(surrogates_of_ours)}
    found = {name for name, kind in both.items() if isinstance(kind, type) and issubclass(kind, base)}
    others = {"SurrogateFunctionBase", "OwnSurrogate", "MultiLevelSpikeCount", "PoissonPass"}  # no step, or random
    assert found - others == set(C_DERIVATIVES)


@pytest.mark.parametrize("name", WAYS)
def test_the_gradient_of_the_first_potential(name: str) -> None:
    module = made("LIFNode", True, surrogate_function=surrogate.ATan())
    x = draw((3, 4, 6), "contiguous")
    with way(name):
        assert_equal(module, [x], torch.linspace(-1, 2, 24).reshape(4, 6))
        assert_equal(module, [x], torch.linspace(-1, 2, 24).reshape(6, 4).T)


@pytest.mark.parametrize("name", WAYS)
def test_step_by_step(name: str) -> None:
    module = made("ParametricLIFNode", True, step_mode="s", surrogate_function=surrogate.ATan())
    with way(name):
        assert_equal(module, [draw((3, 5), "contiguous", seed) for seed in range(4)])
        assert_equal(module, [draw((3, 5, 2, 2), "batch first", seed) for seed in range(3)])


@pytest.mark.parametrize("name", WAYS)
def test_what_is_no_number_stays_so(name: str) -> None:
    odd = torch.tensor([float("inf"), float("-inf"), float("nan"), 3e38, -3e38, 1.0, 0.0, -0.0])
    x = torch.stack((odd, odd.flip(0), torch.ones(8), odd))
    for v_reset in (None, 0.0, 0.5):
        module = made("LIFNode", True, v_reset=v_reset, surrogate_function=surrogate.ATan())
        ours = copy.deepcopy(module)
        fuse(ours)
        with way(name), torch.no_grad():
            assert torch.equal(module(x), ours(x))
            assert torch.equal(module.v.isnan(), ours.v.isnan())
            assert torch.equal(module.v.nan_to_num(), ours.v.nan_to_num())


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("v_reset", [None, 0.0])
def test_bfloat16_keeps_its_state_in_float32(name: str, v_reset: float | None) -> None:
    module = made("LIFNode", True, v_reset=v_reset, surrogate_function=surrogate.ATan())
    ours = copy.deepcopy(module)
    fuse(ours)
    inputs = [draw((5, 3, 40), "contiguous", seed).bfloat16() for seed in range(2)]
    expected = outcome(module, [x.float() for x in inputs])
    with way(name):
        got = outcome(ours, inputs)
    assert all(s.dtype == torch.bfloat16 for s in got["spikes"])
    assert all(torch.equal(e.bfloat16(), g) for e, g in zip(expected["spikes"], got["spikes"], strict=True))
    assert got["v"][0].dtype == torch.float32
    assert torch.equal(expected["v"][0], got["v"][0])
    for theirs, mine in zip(expected["gradients"], got["gradients"], strict=True):
        assert mine.dtype == torch.bfloat16
        # The gradient that arrives is bfloat16 too: two roundings to 8 bits.
        torch.testing.assert_close(mine.float(), theirs, rtol=2**-6, atol=2**-7)


@pytest.mark.parametrize("name", WAYS)
def test_bfloat16_rounds_as_torch_does(name: str) -> None:
    # Slopes of 1 and 1/2 and no reset in the gradient: sums are exact in float32, and often halfway in bfloat16.
    slope = surrogate.LeakyKReLU(leak=0.5, k=1.0)
    module = made("IFNode", False, v_reset=None, detach_reset=True, surrogate_function=slope)
    fuse(module)
    x = draw((3, 40, 50), "contiguous").bfloat16().requires_grad_()
    arriving = draw((3, 40, 50), "contiguous", 1).bfloat16()
    with way(name):
        spikes = module(x)
        spikes.backward(arriving)
    with torch.no_grad():
        v, slopes = torch.zeros(40, 50), []
        for now in x.float():
            v = v + now
            slopes.append(0.5 + 0.5 * (v >= 1.0).float())
            v = v - (v >= 1.0).float()
        expected = (arriving.float() * torch.stack(slopes)).flip(0).cumsum(0).flip(0)
    assert x.grad is not None
    assert torch.equal(x.grad, expected.bfloat16())


def test_under_autocast() -> None:
    model = nn.Sequential(layer.Linear(4, 6, step_mode="m"), made("LIFNode", True))
    fuse(model)
    with torch.autocast("cpu", torch.bfloat16):
        spikes = model(draw((3, 2, 4), "contiguous"))
    assert spikes.dtype == torch.bfloat16
    assert model[1].v.dtype == torch.float32
    spikes.float().sum().backward()
    assert float(model[0].weight.grad.abs().sum()) > 0


def saved(module: nn.Module, x: Tensor) -> int:
    """How many numbers autograd keeps for the gradient."""
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    return sum(sizes)


@pytest.mark.parametrize("name", WAYS)
def test_the_gradient_keeps_the_input_alone(name: str) -> None:
    x = draw((4, 3, 10), "contiguous").requires_grad_()
    for kind, more in (("IFNode", 0), ("LIFNode", 0), ("ParametricLIFNode", 2)):  # the rate and its sigmoid: numbers
        module = made(kind, True)
        assert saved(copy.deepcopy(module), x) > x.numel() + more
        fuse(module)
        with way(name):
            assert saved(module, x) <= x.numel() + more


def test_the_layout_stays() -> None:
    module = made("IFNode", False)
    fuse(module)
    x = draw((4, 2, 3, 5, 6), "channels last").requires_grad_()
    spikes = module(x)
    assert spikes.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    [gradient] = torch.autograd.grad(spikes.sum(), x)
    assert gradient.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["IFNode", "ParametricLIFNode"])
def test_threads_change_no_bit(kind: str) -> None:
    module = made(kind, True)
    fuse(module)
    x = draw((4, 8, 5000), "contiguous")
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append([tensor for tensors in outcome(module, [x]).values() for tensor in tensors])
    finally:
        torch.set_num_threads(1)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("kind", ["ParametricLIFNode", "Leaky"])
def test_a_gradient_of_the_gradient(kind: str) -> None:
    def penalty(module: nn.Module) -> list[Tensor]:
        module.reset()
        x = draw((3, 2, 5), "contiguous").requires_grad_()
        leaves = [x, *module.parameters()]
        first = torch.autograd.grad((module(x) * x).sum(), leaves, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), leaves))

    module = made(kind, True, v_threshold=0.7, surrogate_function=surrogate.ATan())
    ours = copy.deepcopy(module)
    fuse(ours)
    for theirs, mine in zip(penalty(module), penalty(ours), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_another_batch_starts_anew() -> None:
    module = made("HalfThresholdIFNode", False)
    ours = copy.deepcopy(module)
    fuse(ours)
    for batch in (4, 3):
        x = draw((2, batch, 5), "contiguous")
        assert torch.equal(module(x), ours(x))
        assert torch.equal(module.v, ours.v)


def test_a_fused_neuron_stays_what_it_was() -> None:
    model = nn.Sequential(layer.Linear(4, 6, step_mode="m"), made("ParametricLIFNode", True))
    plain = copy.deepcopy(model)
    assert fuse(model) == ["1"]
    assert [type(module) for module in model.modules()] == [type(module) for module in plain.modules()]
    assert model.state_dict().keys() == plain.state_dict().keys()
    seen: list[Tensor] = []
    model[1].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    spikes = model(draw((3, 2, 4), "contiguous"))
    assert seen[0] is spikes


def test_a_copy_has_a_state_of_its_own() -> None:
    module = made("IFNode", False)
    fuse(module)
    twin = copy.deepcopy(module)
    twin(draw((3, 2, 4), "contiguous"))
    assert module.v == 0.0
    assert isinstance(twin.v, Tensor)
    assert describe_neurons(twin, torch.float32) == "neurons: 1 compiled"


def test_torch_fx_traces_around_it() -> None:
    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, neuron.BaseNode) or super().is_leaf_module(m, module_qualified_name)

    model = nn.Sequential(nn.Linear(4, 6), made("LIFNode", True, step_mode="s"))
    fuse(model)
    traced = fx.GraphModule(model, Tracer().trace(model))
    x = draw((2, 4), "contiguous")
    expected = model(x)
    model[1].reset()
    assert torch.equal(traced(x), expected)


class Steep(surrogate.ATan):  # type: ignore[misc]
    """A surrogate of someone else's."""


@pytest.mark.parametrize("mode", ["m", "s"])
def test_what_is_not_covered_runs_as_before(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "run_fused", lambda *_args, **_kwargs: pytest.fail("ran fused"))
    x = draw((3, 2, 4), "contiguous")
    cases: list[tuple[nn.Module, Tensor]] = [
        (made("LIFNode", True, mode), x.double()),
        (made("LIFNode", True, mode, store_v_seq=True), x),
        (made("LIFNode", True, mode, surrogate_function=Steep()), x),
        (made("LIFNode", True, mode, surrogate_function=surrogate.ATan(spiking=False)), x),
        (made("ParametricLIFNode", True, mode).double(), x.double()),
    ]
    for module, values in cases:
        ours = copy.deepcopy(module)
        fuse(ours)
        assert torch.equal(module(values), ours(values))
        assert torch.equal(module.v, ours.v)
    assert ours.v_seq is None
    assert cases[1][0].v_seq is not None


def test_other_neurons_are_left_alone() -> None:
    model = nn.Sequential(neuron.KLIFNode(), neuron.CUBALIFNode(), nn.ReLU(), made("IFNode", False))
    assert fuse(model) == ["3"]
    assert describe_neurons(model, torch.float32) == "neurons: 1 compiled, 2 step by step"
    assert describe_neurons(model, torch.float64) == "neurons: 3 step by step"
    with way("in place"):
        assert describe_neurons(model, torch.bfloat16) == "neurons: 1 in place, 2 step by step"
    assert describe_neurons(nn.ReLU(), torch.float32) == "neurons: none"


def test_settings_changed_later_count() -> None:
    module = made("LIFNode", True)
    ours = copy.deepcopy(module)
    fuse(ours)
    x = draw((4, 3, 20), "contiguous")
    for each in (module, ours):
        each(x)
        each.reset()
        each.tau, each.v_threshold, each.v_reset, each.surrogate_function = 5.0, 0.3, None, surrogate.Erf()
    assert torch.equal(module(x), ours(x))


@pytest.mark.parametrize("wanted", [False, True])
def test_a_model_is_fused_where_the_configuration_says_so(raw: dict[str, Any], wanted: bool) -> None:
    learner = build_learner(checked({**raw, "trainer": {**raw["trainer"], "fused": wanted}}))
    layers = neuron_layers(learner.model)
    assert ["multi_step_forward" in vars(each) for each in layers.values()] == [wanted] * len(layers)
    assert {type(each) for each in layers.values()} == {neuron.LIFNode}
    twin = build_learner(
        checked({**raw, "neuron": {"_target_": "torch.nn.ReLU"}, "trainer": {**raw["trainer"], "fused": wanted}})
    )
    assert "multi_step_forward" not in vars(next(iter(neuron_layers(twin.model).values())))
