"""Models that own time are one function in all four frameworks, and SpikingJelly's own where it averages itself."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from spikingjelly.activation_based.model import ms_resnet, qkformer, spike_driven_transformer, spikformer
from torch import Tensor, nn

from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.ms_resnet import MSResNet
from membrane.models.own_time import OwnsTime
from membrane.models.qkformer import QKFormer
from membrane.models.sdt import SpikeDrivenTransformer
from membrane.models.spikformer import Spikformer
from membrane.neurons import is_neuron, make_neuron
from membrane.randomness import generator, scoped

N, K, SHAPE = 3, 5, (2, 8, 10)
MODELS: dict[str, Callable[..., nn.Module]] = {
    "ms_resnet": partial(MSResNet, channels=8),
    "spikformer": partial(Spikformer, embed_dims=16, num_heads=2, depths=2),
    "qkformer": partial(QKFormer, embed_dims=32, num_heads=[2, 2, 4], depths=[1, 1, 1]),
    "qkformer_imagenet": partial(
        QKFormer, embed_dims=32, num_heads=[2, 2, 4], depths=[1, 0, 1], qka_type="channel", stem="imagenet"
    ),
    "sdt": partial(SpikeDrivenTransformer, embed_dims=16, num_heads=2, depths=2),
}
# a low threshold: what reaches the neurons in the attention, divided by eight, is little where there are few positions
NEURONS = {
    "if_hard": partial(make_neuron, neuron.IFNode, surrogate.ATan, v_threshold=0.2, v_reset=0.0),
    "lif_soft": partial(make_neuron, neuron.LIFNode, surrogate.ATan, v_threshold=0.2, v_reset=None),
    "plif_hard": partial(
        make_neuron, neuron.ParametricLIFNode, surrogate.ATan, v_threshold=0.2, decay_input=False, v_reset=0.0
    ),
}
Build = Callable[..., nn.Module]


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lively(enliven: Callable[..., nn.Module]) -> Build:
    """A model whose neurons spike, in float64, so that no error of rounding tips a neuron over its threshold."""

    def built(name: str, kind: str = "lif_soft") -> nn.Module:
        with scoped(0, "initialisation"):
            model = MODELS[name](input_shape=SHAPE, classes=K, timesteps=4, neuron=NEURONS[kind])
        return enliven(model, SHAPE).double()

    return built


def data(*lead: int) -> Tensor:
    return torch.randn(*lead, *SHAPE, generator=generator(0, "data")).double()


@pytest.mark.product
@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize(("in_data", "timesteps"), [(False, 4), (True, 4), (True, N)])
def test_single_step_and_multi_step_are_one_function(
    lively: Build, name: str, kind: str, in_data: bool, timesteps: int
) -> None:
    model = lively(name, kind)
    x = data(N, timesteps) if in_data else data(N)
    single, multi = (SingleStepTID, MultiStepTID) if in_data else (SingleStep, MultiStep)
    seen: dict[str, list[Tensor]] = {}
    handles = [
        module.register_forward_hook(lambda _m, _x, out, key=key: seen.setdefault(key, []).append(out.detach()))
        for key, module in model.named_modules()
        if is_neuron(module)
    ]
    expected = single(timesteps)(model, x)
    calls = {key: outputs[:] for key, outputs in seen.items()}
    seen.clear()
    outputs = multi(timesteps)(model, x)
    for handle in handles:
        handle.remove()
    # T calls of one timestep, not T·T; the same spikes in one call of T; and there are some in every layer
    for key, single_steps in calls.items():
        assert [len(output) for output in single_steps] == [1] * timesteps
        assert [len(output) for output in seen[key]] == [timesteps]
        torch.testing.assert_close(seen[key][0], torch.cat(single_steps))
        assert 0 < (seen[key][0] != 0).double().mean() < 1, key
    assert expected.shape == (timesteps, N, K)
    assert expected.diff(dim=0).abs().max() > 0.01
    assert (outputs - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("kind", ["lif_soft", "plif_hard"])
def test_gradients_are_equal_too(lively: Build, name: str, kind: str) -> None:
    model, found = lively(name, kind), []
    weights = torch.linspace(-1, 1, 4 * N * K).double().reshape(4, N, K)
    for run in (SingleStepTID(4), MultiStepTID(4)):
        x = data(N, 4).requires_grad_()
        model.zero_grad()
        (run(model, x) * weights).sum().backward()
        found.append({key: parameter.grad for key, parameter in model.named_parameters()} | {"x": x.grad})
    single, multi = found
    for key, gradient in single.items():
        # one of PLIF's time constants has none where the neuron is reset to 0 at every step
        assert gradient.abs().max() > 0 or key.endswith(".w"), key
        torch.testing.assert_close(multi[key], gradient, rtol=1e-8, atol=1e-10)


def test_batches_are_independent_and_repetition_is_the_frameworks(lively: Build, name: str) -> None:
    model, x = lively(name), data(N)
    repeated = x.unsqueeze(1).repeat(1, 4, 1, 1, 1)
    expected = MultiStep(4)(model, x)
    for run, given in (
        (SingleStep(4), x),
        (SingleStepTID(4), repeated),
        (MultiStepTID(4), repeated),
        (MultiStep(4), x),
    ):
        run(model, -2 * given)
        torch.testing.assert_close(run(model, given), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(run(model, given[:2]), expected[:, :2], atol=1e-5, rtol=0)


def theirs(name: str) -> nn.Module:
    """SpikingJelly's own class with the same settings; it repeats a 4-D input by itself."""
    common: dict[str, Any] = {
        "T": 4,
        "in_channels": SHAPE[0],
        "num_classes": K,
        "spiking_neuron": lambda **_: NEURONS["lif_soft"](),
    }
    small = {"embed_dims": 16, "num_heads": 2, "depths": 2, **common}
    if name == "ms_resnet":
        return ms_resnet.ms_resnet18(base_channels=8, **common)
    if name == "spikformer":
        return spikformer.Spikformer(img_size_h=8, img_size_w=10, patch_size=4, **small)
    if name == "sdt":
        return spike_driven_transformer.SpikeDrivenTransformer(pooling_stat="0011", **small)
    three = {"embed_dims": 32, "num_heads": (2, 2, 4), "depths": (1, 0, 1), "qka_type": "channel"}
    return qkformer.QKFormer(**common, **three)


@pytest.mark.parametrize("name", ["ms_resnet", "spikformer", "qkformer_imagenet", "sdt"])
def test_the_mean_over_time_is_spikingjellys_output(enliven: Callable[..., nn.Module], name: str) -> None:
    settings = {"stem": "imagenet"} if name == "ms_resnet" else {}
    model = MODELS[name](input_shape=SHAPE, classes=K, timesteps=4, neuron=NEURONS["lif_soft"], **settings)
    ours, original = enliven(model, SHAPE).double(), theirs(name).double().eval()
    original.load_state_dict(ours.state_dict())
    functional.set_step_mode(original, "m")
    output = original(data(N))
    output = output.mean(0) if output.dim() == 3 else output
    assert output.std() > 0.01
    for run in (SingleStep(4), MultiStep(4)):
        torch.testing.assert_close(run(ours, data(N)).mean(0), output)


def test_layers_stay_in_multi_step_mode(lively: Build, name: str) -> None:
    model = lively(name)
    inside = [module for module in model.modules() if hasattr(module, "step_mode") and module is not model]
    for run, mode in ((SingleStep(2), "s"), (MultiStep(2), "m"), (SingleStep(2), "s")):
        run(model, data(N))
        assert isinstance(model, OwnsTime)
        assert model.step_mode == mode
        assert {module.step_mode for module in inside} == {"m"}


@pytest.mark.parametrize(("mode", "lead"), [("s", (4, N)), ("m", (N,))])
def test_another_rank_is_refused(lively: Build, mode: str, lead: tuple[int, ...]) -> None:
    model = lively("sdt")
    model.step_mode = mode
    with pytest.raises(ValueError, match=rf"step mode '{mode}' the input must be \[.*N,C,H,W\], got"):
        model(data(*lead))
