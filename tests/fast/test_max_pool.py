"""Max pools in one pass against torch's: values and gradients equal in all bits."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.fast import max_pool
from membrane.fast.max_pool import pool_in_one_pass
from membrane.fast.stem_once import run_stem_once

WINDOWS: list[Any] = [2, 3, 4, (1, 2), (3, 2)]
# rows of few windows and of many, of more than a piece has, of one that does not fill them, and fewer lanes than one
SIZES = [(2, 3, 4, 4), (5, 1, 8, 8), (2, 5, 9, 11), (1, 2, 6, 1100), (2, 300, 5, 6), (3, 7, 34, 36)]


def lay_out(x: Tensor, layout: str) -> Tensor:
    """x with its axes in that order of memory."""
    if layout == "channels last":
        return x.movedim(1, -1).contiguous().movedim(-1, 1)
    return x.transpose(2, -1).contiguous().transpose(2, -1) if layout == "transposed" else x


def values(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Spikes, and in a quarter of the samples' places numbers, NaN and infinities."""
    draws = torch.Generator().manual_seed(0)
    x = (torch.rand(shape, generator=draws) < 0.3).float()
    other = torch.randn(shape, generator=draws)
    x = torch.where(torch.rand(shape, generator=draws) < 0.25, other, x)
    x = x.masked_fill(torch.rand(shape, generator=draws) < 0.05, torch.nan)
    return x.masked_fill(torch.rand(shape, generator=draws) < 0.05, -torch.inf).to(dtype)


def assert_same(module: nn.Module, x: Tensor) -> None:
    """The module in one pass does as it did before."""
    ours = copy.deepcopy(module)
    pool_in_one_pass(ours)
    assert "forward" in ours.__dict__
    outcomes = []
    for each in (module, ours):
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        pooled = each(leaf)
        g = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)
        with torch.no_grad():
            assert torch.equal(each(leaf).nan_to_num(99), pooled.nan_to_num(99))
        outcomes.append([pooled.nan_to_num(99), *torch.autograd.grad(pooled, leaf, g)])
    assert all(map(torch.equal, *outcomes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_images(window: Any, layout: str, dtype: torch.dtype) -> None:
    for shape in SIZES:
        if min(shape[2:]) >= 4:
            assert_same(layer.MaxPool2d(window), lay_out(values(shape, dtype), layout))


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed"])
@pytest.mark.parametrize("window", [2, 3])
def test_signals(window: int, layout: str) -> None:
    for shape in ((2, 3, 4), (2, 20, 37), (1, 3, 1030)):
        assert_same(layer.MaxPool1d(window), lay_out(values(shape, torch.float32), layout))


@pytest.mark.parametrize("steps", [1, 3])
def test_all_timesteps(steps: int) -> None:
    assert_same(layer.MaxPool2d(2, step_mode="m"), values((steps, 2, 3, 6, 6), torch.float32))
    assert_same(layer.MaxPool1d(2, step_mode="m"), values((steps, 2, 3, 6), torch.float32))


def test_threads_change_no_bit() -> None:
    x, count = values((64, 8, 16, 16), torch.float32), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert_same(layer.MaxPool2d(2), x)
    finally:
        torch.set_num_threads(count)


@pytest.mark.parametrize(
    "module",
    [
        layer.MaxPool2d(3, stride=2),
        layer.MaxPool2d(2, padding=1),
        layer.MaxPool2d(2, dilation=2),
        layer.MaxPool2d(2, ceil_mode=True),
        layer.MaxPool2d(2, return_indices=True),
        layer.MaxPool2d(17),
        nn.MaxPool2d(2),
    ],
    ids=str,
)
def test_other_pools_are_left_alone(module: nn.Module) -> None:
    pool_in_one_pass(module)
    assert "forward" not in module.__dict__


def test_what_is_not_covered_runs_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    module = layer.MaxPool2d(2)
    pool_in_one_pass(module)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert torch.equal(module(x), nn.functional.max_pool2d(x, 2))
    assert torch.equal(module(x[0]), nn.functional.max_pool2d(x[0], 2))
    with pytest.raises(RuntimeError):
        module(x[..., :1])
    monkeypatch.setattr(max_pool, "pool_kernel", lambda window, dtype: None)
    assert torch.equal(module(x.float()), nn.functional.max_pool2d(x.float(), 2))


def test_a_pool_before_the_first_neuron_runs_once() -> None:
    module = layer.MaxPool2d(2, step_mode="m")
    expected = copy.deepcopy(module)
    pool_in_one_pass(module)
    run_stem_once(module)
    x = torch.randn(2, 3, 4, 4).expand(5, 2, 3, 4, 4)
    pooled = module(x)
    assert torch.equal(pooled, expected(x))
    assert pooled.stride(0) == 0
    assert torch.equal(module(x.contiguous()), pooled)


@pytest.fixture(params=[False, True])
def deterministic(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let torch refuse what is not deterministic, or not, in a test."""
    was = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(request.param)
    yield
    torch.use_deterministic_algorithms(was)


@pytest.mark.usefixtures("deterministic")
def test_a_gradient_of_the_gradient() -> None:
    module = layer.MaxPool2d(2)
    ours, x = copy.deepcopy(module), torch.randn(2, 3, 5, 6)
    pool_in_one_pass(ours)
    outcomes = []
    for each in (module, ours):
        leaf = x.clone().requires_grad_()
        [g] = torch.autograd.grad((each(leaf) ** 3).sum(), leaf, create_graph=True)
        outcomes.append(torch.autograd.grad((g**2).sum(), leaf)[0])
    assert torch.equal(*outcomes)
