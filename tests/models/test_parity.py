"""Single-step and multi-step are one function: for every template, neuron and number of dimensions."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.neurons import is_neuron
from membrane.randomness import generator, scoped

N = 3
NEURONS = ["if_soft", "if_hard", "lif_soft", "lif_hard", "plif_soft", "plif_hard", "relu"]
Build = Callable[..., nn.Module]


@pytest.fixture(params=NEURONS)
def neuron(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["static", "tid"])
def in_data(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def pair(in_data: bool, timesteps: int) -> tuple[Any, Any]:
    """The single-step strategy and the multi-step one."""
    return (
        (SingleStepTID(timesteps), MultiStepTID(timesteps))
        if in_data
        else (SingleStep(timesteps), MultiStep(timesteps))
    )


def data(in_data: bool, timesteps: int, shape: tuple[int, ...]) -> Tensor:
    """[N,…] or [N,T,…]."""
    return torch.randn(N, *([timesteps] if in_data else []), *shape, generator=generator(0, "data"))


def rates(model: nn.Module, run: Callable[[], Tensor]) -> tuple[Tensor, dict[str, float]]:
    """What a run gives, and the fraction of non-zero outputs of every neuron (or activation) in it."""
    heard: dict[str, list[Tensor]] = {}
    handles = [
        module.register_forward_hook(lambda _m, _x, output, name=name: heard.setdefault(name, []).append(output != 0))
        for name, module in model.named_modules()
        if is_neuron(module) or isinstance(module, nn.ReLU)
    ]
    outputs = run()
    for handle in handles:
        handle.remove()
    return outputs, {name: torch.cat(fired).double().mean().item() for name, fired in heard.items()}


@pytest.mark.product
@pytest.mark.parametrize("timesteps", [N, 4])
def test_outputs_are_equal_in_eval_mode(
    build_lively: Build, shapes: Any, model_name: str, neuron: str, dims: int, in_data: bool, timesteps: int
) -> None:
    x = data(in_data, timesteps, shapes[dims])
    single, multi = pair(in_data, timesteps)
    model = build_lively(model_name, neuron, dims).eval()
    with torch.no_grad():
        expected, fired = rates(model, lambda: single(model, x))
        outputs, fired_multi = rates(model, lambda: multi(model, x))
    # what makes the comparison mean something: every layer spikes, none always, and time matters
    assert fired
    # (in a residual net spikes come on top of spikes)
    most = 0.99 if model_name.startswith("sresnet") else 0.9
    assert all(0.02 < rate < most for rate in fired.values()), fired
    assert fired == fired_multi
    once = neuron == "relu" and not in_data
    assert expected.shape == (1 if once else timesteps, N, 5)
    assert once or (expected.diff(dim=0).abs() > 0.01).any(-1).float().mean() > 0.1
    assert (outputs - expected).abs().max() <= 1e-5


@pytest.mark.product
@pytest.mark.parametrize("timesteps", [N, 4])
def test_potentials_are_equal_too(
    build_lively: Build, shapes: Any, model_name: str, dims: int, in_data: bool, timesteps: int
) -> None:
    x = data(in_data, timesteps, shapes[dims])
    model, found = build_lively(model_name, "plif_soft", dims).eval(), []
    for run in pair(in_data, timesteps):
        run(model, x)
        found.append({name: module.v for name, module in model.named_modules() if is_neuron(module)})
    single, multi = found
    for name, potential in single.items():
        assert potential.shape[0] == N
        assert potential.std() > 0.01
        torch.testing.assert_close(potential, multi[name], atol=1e-5, rtol=0)


def gradients(model: nn.Module, run: Any, x: Tensor) -> dict[str, Tensor]:
    """Of a loss that weighs every output differently; of all parameters and of the input."""
    x = x.clone().requires_grad_()
    with scoped(0, "model"):
        outputs = run(model, x)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    model.zero_grad()
    (outputs * weights).sum().backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {name: grad.clone() for name, grad in {**found, "x": x.grad}.items() if grad is not None}


@pytest.mark.product
@pytest.mark.parametrize("neuron", ["if_soft", "lif_hard", "plif_soft", "relu"])
def test_gradients_are_equal_where_no_layer_mixes_timesteps(
    build_lively: Build, shapes: Any, model_name: str, neuron: str, dims: int, in_data: bool
) -> None:
    # In training mode, dropout included: its mask is drawn once and stays for all timesteps. In float64, so that
    # an error of rounding is not mistaken for one of the strategy.
    changes: dict[str, Any] = {} if model_name.startswith("smlp") else {"norm": "none"}
    model = build_lively(model_name, neuron, dims, **changes).double().train()
    single, multi = (gradients(model, run, data(in_data, 4, shapes[dims]).double()) for run in pair(in_data, 4))
    assert set(single) == {"x", *dict(model.named_parameters())}
    for name, gradient in single.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(multi[name], gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("model_name", "first_norm"),
    [("scnn", "norm1"), ("scnn_separable", "norm1"), ("sresnet", "stem.norm"), ("sresnet_stride", "stem.norm")],
)
def test_batch_norm_in_training_mixes_timesteps_in_multistep_alone(
    build_lively: Build, shapes: Any, model_name: str, first_norm: str, dims: int
) -> None:
    x = data(True, 4, shapes[dims])
    updates = {}
    for run in pair(True, 4):
        model = build_lively(model_name, "lif_soft", dims).train()
        norm = model.get_submodule(first_norm)
        before = norm.running_mean.clone()
        seen: list[Tensor] = []
        handle = norm.register_forward_hook(lambda _m, inputs, _y, seen=seen: seen.append(inputs[0].detach()))
        run(model, x)
        handle.remove()
        calls = [merged.flatten(0, 1) for merged in seen] if len(seen) == 1 else seen
        for call in calls:  # running mean ← 0.9 · running mean + 0.1 · mean over samples and positions
            before = 0.9 * before + 0.1 * call.movedim(1, 0).flatten(1).mean(1)
        torch.testing.assert_close(norm.running_mean, before)
        updates[len(calls)] = int(norm.num_batches_tracked)
    assert updates == {4: 4, 1: 1}


@pytest.mark.product
def test_batches_are_independent(build_lively: Build, shapes: Any, model_name: str, dims: int, in_data: bool) -> None:
    first, second = (data(in_data, 4, shapes[dims]) * factor for factor in (1, -1))
    for run in pair(in_data, 4):
        model = build_lively(model_name, "if_soft", dims).eval()
        expected = run(build_lively(model_name, "if_soft", dims).eval(), second)
        run(model, first)
        assert torch.equal(run(model, second), expected)
        assert torch.equal(run(model, second[:2]), run(model, second[:2]))


@pytest.mark.product
def test_repeated_input_gives_the_plain_strategies_outputs(
    build_lively: Build, shapes: Any, model_name: str, neuron: str, dims: int
) -> None:
    x, model = data(False, 4, shapes[dims]), build_lively(model_name, neuron, dims).eval()
    repeated = x.unsqueeze(1).repeat(1, 4, *[1] * (dims + 1))
    for plain, tid in ((SingleStep(4), SingleStepTID(4)), (MultiStep(4), MultiStepTID(4))):
        expected = plain(model, x)
        torch.testing.assert_close(tid(model, repeated), expected.expand(4, -1, -1), atol=1e-5, rtol=0)
