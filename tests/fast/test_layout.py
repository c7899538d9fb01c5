"""Layouts of memory: which timesteps have no gaps, and what is allocated or copied beside them."""

from itertools import permutations

import torch
from torch import Tensor

from membrane.fast.layout import empty_rows, empty_step, is_dense, match_rows, match_step, row_view, same_layout

T, N, C, H = 3, 2, 4, 5


def filled(*shape: int) -> Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


def every_order() -> list[Tensor]:
    """Return tensors [T,N,C,H] of which each timestep lies in memory in another order of its axes."""
    tensors = []
    for order in permutations(range(3)):
        shape = [(N, C, H)[axis] for axis in order]
        back = [order.index(axis) for axis in range(3)]
        tensors.append(filled(T, *shape).permute(0, *(1 + axis for axis in back)))
    return tensors


def gaps() -> list[Tensor]:
    """Return tensors [T,N,C,H] whose timesteps have gaps, or numbers that stand for several."""
    whole = filled(T, N, C, 2 * H)
    return [
        whole[..., ::2],
        whole[..., :H],
        whole[:, :, ::2],
        whole.transpose(2, 3)[:, :, 1:],
        filled(T, N, 1, H).expand(T, N, C, H),
        filled(N, T, C, H).transpose(0, 1),
    ]


def test_a_timestep_without_gaps_is_dense_in_any_order_of_its_axes() -> None:
    assert all(map(is_dense, every_order()))
    assert not any(map(is_dense, gaps()))
    assert is_dense(filled(N, T, C).transpose(0, 1)[:, :1])  # along an axis of size 1 there can be no gap
    assert is_dense(filled(2 * T, N, C)[::2])  # between timesteps there may be gaps
    assert is_dense(filled(N, C).expand(T, N, C))


def test_a_row_holds_a_timestep_in_the_order_of_memory() -> None:
    for x in [*every_order(), filled(2 * T, N, C)[::2]]:
        rows = row_view(x)
        assert rows.shape == (T, x[0].numel())
        assert rows.data_ptr() == x.data_ptr()
        assert rows.stride(1) == 1
        for t in range(T):
            assert rows[t].sort().values.tolist() == x[t].flatten().sort().values.tolist()
            assert rows[t].tolist() == sorted(rows[t].tolist())  # as filled() numbered them


def test_what_is_allocated_lies_as_x_does() -> None:
    for x in every_order():
        rows, half, step = empty_rows(x), empty_rows(x, torch.bfloat16), empty_step(x)
        assert (rows.shape, rows.dtype, rows.stride()) == (x.shape, x.dtype, x.stride())
        assert (half.shape, half.dtype, half.stride()) == (x.shape, torch.bfloat16, x.stride())
        assert (step.shape, step.dtype, step.stride()) == (x.shape[1:], torch.float32, x.stride()[1:])
        assert empty_step(x.bfloat16()).dtype == torch.float32


def test_timesteps_apart_are_allocated_one_after_the_other() -> None:
    x = filled(2 * T, N, C)[::2]
    assert empty_rows(x).stride() == (N * C, C, 1)
    assert empty_rows(x.double()[::1]).dtype == torch.float64


def test_what_lies_otherwise_is_copied_and_what_does_not_is_not() -> None:
    contiguous, *others = every_order()
    for x in others:
        assert match_rows(x, x) is x
        copy = match_rows(x, contiguous)
        assert copy.stride() == x.stride()
        assert torch.equal(copy, contiguous)
        step, copied = x[0], match_step(x, contiguous[0])
        assert match_step(x, step) is step
        assert copied.stride() == step.stride()
        assert torch.equal(copied, contiguous[0])


def test_another_dtype_is_copied() -> None:
    x = filled(T, N, C)
    assert match_rows(x, x.double()).dtype == torch.float32
    half = x.bfloat16()
    assert match_rows(half, x).dtype == torch.bfloat16
    assert match_step(half, half[0]).dtype == torch.float32
    single = x[0]
    assert match_step(half, single) is single


def test_strides_along_an_axis_of_one_have_no_meaning() -> None:
    assert same_layout(torch.Size((2, 1, 3)), (3, 3, 1), (3, 99, 1))
    assert not same_layout(torch.Size((2, 2, 3)), (6, 3, 1), (6, 99, 1))
    assert not same_layout(torch.Size((2, 1, 3)), (3, 3, 1), (1, 3, 2))
    assert same_layout(torch.Size((2, 3)), (3, 1), (3, 1))
