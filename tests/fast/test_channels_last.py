"""Signals channels last are the same numbers in another order of memory; images, the same as torch's own layout."""

import copy
import io
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from membrane.fast.channels_last import lay_channels_last
from membrane.fast.fused import fuse
from membrane.fast.stem_once import run_stem_once
from membrane.fast.torch_compile import compile_training
from membrane.framework import MultiStep, SingleStep
from membrane.models.norms import NORMS
from membrane.models.scnn import SCNN

T = 3


def network(**said: Any) -> SCNN:
    """A small net for signals [2,8], in float64."""
    torch.manual_seed(0)
    settings = {"filters": [4, 5], "input_shape": [2, 8]} | said
    return SCNN(classes=3, timesteps=T, neuron=lambda: neuron.LIFNode(tau=2.0), **settings).double()


def laid_out(model: nn.Module) -> nn.Module:
    """A copy of a model, channels last."""
    copied = copy.deepcopy(model)
    lay_channels_last(copied)
    return copied


@pytest.mark.product
@pytest.mark.parametrize("framework", [SingleStep(T), MultiStep(T)], ids=["singlestep", "multistep"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_outputs_gradients_and_statistics_are_the_same(norm: str, training: bool, framework: Any) -> None:
    plain = network(norm=norm, separables=[False, True]).train(training)
    last = laid_out(plain)
    run_stem_once(last)
    for seed in range(2):  # running statistics of the first batch enter the second
        x = torch.randn(6, 2, 8, generator=torch.Generator().manual_seed(seed)).double()
        outputs = [framework(model, x) for model in (plain, last)]
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-9, atol=1e-9)
        for output in outputs:
            (output * torch.arange(output.numel()).reshape(output.shape)).sum().backward()
    expected, found = dict(plain.named_parameters()), dict(last.named_parameters())
    assert list(found) == list(expected)
    for name, parameter in expected.items():
        torch.testing.assert_close(found[name].grad, parameter.grad, rtol=1e-7, atol=1e-7, msg=name)
    torch.testing.assert_close(dict(last.state_dict()), dict(plain.state_dict()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 8)])
def test_one_sample_at_one_timestep(shape: tuple[int, ...]) -> None:
    """What multi-step layers merge to [1,C,…] has the gradient of the same numbers in torch's own layout."""
    plain = network(input_shape=list(shape), norm="batch")
    last = laid_out(plain)
    x = torch.randn(1, *shape).double()
    for model in (plain, last):
        outputs = MultiStep(1)(model, x)
        (outputs * torch.arange(outputs.numel()).reshape(outputs.shape)).sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-7, atol=1e-7, msg=name)


@settings(max_examples=40)
@given(
    groups=st.sampled_from([1, 2]),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 2), st.just("same")),
    dilation=st.integers(1, 2),
    mode=st.sampled_from(["zeros", "circular"]),
    bias=st.booleans(),
    dense=st.booleans(),
)
def test_a_convolution_of_any_form(
    groups: int, kernel: int, stride: int, padding: Any, dilation: int, mode: str, bias: bool, dense: bool
) -> None:
    if padding == "same":  # goes with stride 1, and of even kernels torch warns
        stride, kernel = 1, kernel | 1
    conv = nn.Conv1d(4, 6, kernel, stride, padding, dilation, groups, bias, mode).double()
    x = torch.randn(3, 4, 9).double()
    x = x if dense else x.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(laid_out(conv)(x), conv(x), rtol=1e-12, atol=1e-12)


def test_channels_lie_side_by_side_from_the_first_convolution_to_the_head() -> None:
    plain = network().float()
    for model, first in ((plain, False), (laid_out(plain), True)):
        fuse(model)
        outputs: list[Tensor] = []
        for name, module in model.named_children():
            if name.rstrip("12") in ("conv", "norm", "neuron", "pool"):
                module.register_forward_hook(lambda _, __, output, outputs=outputs: outputs.append(output))
        MultiStep(T)(model, torch.randn(6, 2, 8))
        assert [output.dim() for output in outputs] == [4] * 8
        assert [output.stride(2) == 1 for output in outputs] == [first] * 8


@pytest.mark.parametrize("framework", [SingleStep(T), MultiStep(T)], ids=["singlestep", "multistep"])
@pytest.mark.parametrize("shape", [[2, 8], [2, 8, 8]])
def test_gradients_lie_as_outputs_do(shape: list[int], framework: Any) -> None:
    """A gradient in another layout would be copied before each convolution's own."""
    model = laid_out(network(input_shape=shape).float())
    gradients: list[Tensor] = []
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            module.register_forward_hook(lambda _, __, output: output.register_hook(gradients.append) and None)
    framework(model, torch.randn(6, *shape)).sum().backward()
    assert gradients
    assert {gradient.stride(-1) for gradient in gradients} == {gradient.shape[-len(shape)] for gradient in gradients}


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, layer.BatchNorm1d])
def test_a_norm_takes_what_its_class_takes(kind: Any) -> None:
    norm = kind(4)
    last = laid_out(norm)
    for shape in ((5, 4), (5, 4, 7)):
        x = torch.randn(shape)
        torch.testing.assert_close(last(x), norm(x))
    torch.testing.assert_close(last.running_var, norm.running_var)
    for wrong in ((5, 4, 2, 7), (5, 4, 1, 7), (4,)):
        with pytest.raises(ValueError, match="expected 2D or 3D input"):
            last(torch.randn(wrong))


def test_images_lie_as_torch_lays_them() -> None:
    last = laid_out(network(input_shape=[2, 8, 8]))
    convs = [each for each in last.modules() if isinstance(each, nn.Conv2d)]
    assert len(convs) == 2
    assert all(each.weight.is_contiguous(memory_format=torch.channels_last) for each in convs)


class Causal(nn.Conv1d):
    """Sees nothing that comes later."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(nn.functional.pad(x, (2, 0)), weight, bias)


class Gated(nn.BatchNorm1d):
    """Twice as much."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class GatedSteps(layer.BatchNorm1d):
    """Twice as much, with timesteps."""

    def super_forward(self, x: Tensor) -> Tensor:
        return 2 * super().super_forward(x)


@pytest.mark.parametrize("module", [Causal(4, 4, 3), Gated(4), GatedSteps(4)])
def test_what_a_subclass_does_in_its_own_way_is_left_to_it(module: nn.Module) -> None:
    x = torch.randn(5, 4, 7)
    found, expected = laid_out(module)(x), module(x)
    assert found.shape == x.shape
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", [(4, 9), (2, 4, 9)])
def test_a_convolution_of_one_signal_without_a_batch(shape: tuple[int, ...]) -> None:
    conv = nn.Conv1d(4, 6, 3)
    x = torch.randn(shape)
    torch.testing.assert_close(laid_out(conv)(x), conv(x))


def test_a_copy_has_weights_of_its_own() -> None:
    last = laid_out(network())
    averaged = copy.deepcopy(last)
    for name, parameter in averaged.named_parameters():
        if not name.startswith("head"):
            parameter.data.zero_()
    nn.init.zeros_(averaged.head.bias)
    x: Tensor = torch.randn(2, 2, 8).double()
    assert not MultiStep(T)(averaged, x).any()
    assert MultiStep(T)(last, x).any()


def test_a_model_that_was_saved_whole_computes_the_same() -> None:
    last = laid_out(network()).eval()
    file = io.BytesIO()
    torch.save(last, file)
    file.seek(0)
    x = torch.randn(2, 2, 8).double()
    torch.testing.assert_close(MultiStep(T)(torch.load(file, weights_only=False), x), MultiStep(T)(last, x))


def test_compiled_for_training_it_is_the_same_network() -> None:
    plain = network()
    last = laid_out(plain)
    torch.compiler.reset()
    compile_training(last, backend="eager")
    x = torch.randn(6, 2, 8).double()
    torch.testing.assert_close(MultiStep(T)(last, x), MultiStep(T)(plain, x))
    torch.compiler.reset()
