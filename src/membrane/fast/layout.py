"""Memory of [T,N,…] for neurons, for which the axes of a timestep may be in any order if it has no gaps."""

import torch
from torch import Tensor


def is_dense(x: Tensor) -> bool:
    """Return whether the numbers of each timestep of x [T,N,…] lie side by side, in any order of the axes."""
    if x.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(x.stride()[1:], x.shape[1:], strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def with_own_stride(x: Tensor) -> Tensor:
    """View x [T,1,…] with the stride of its one sample that torch gives new memory; of several samples return x.

    A view may have any stride there. With one that is too small the gradient of batch norm, channels last, is wrong in
    torch 2.11.0.
    """
    if x.shape[1] != 1 or x.stride(0) == 0 or x.stride(1) == x[0].numel():
        return x
    return x.as_strided(x.shape, (x.stride(0), x[0].numel(), *x.stride()[2:]))


def row_view(x: Tensor) -> Tensor:
    """View x [T,N,…], dense in each timestep, as [T,n] in the order of memory."""
    return x.as_strided((len(x), x.numel() // len(x)), (x.stride(0), 1))


def empty_rows(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Allocate a tensor like x [T,N,…], with timesteps laid out as those of x, one after the other."""
    if x.is_contiguous():
        return torch.empty(x.shape, dtype=dtype or x.dtype)
    return torch.empty_strided(x.shape, (x.numel() // len(x), *x.stride()[1:]), dtype=dtype or x.dtype)


def empty_step(x: Tensor) -> Tensor:
    """Allocate a float32 tensor [N,…] laid out as a timestep of x [T,N,…]."""
    if x.is_contiguous():
        return torch.empty(x.shape[1:], dtype=torch.float32)
    return torch.empty_strided(x.shape[1:], x.stride()[1:], dtype=torch.float32)


def match_rows(x: Tensor, other: Tensor) -> Tensor:
    """Return ``other`` [T,N,…], as a copy if its timesteps are not laid out as those of x, or its dtype is not x's."""
    if other.dtype == x.dtype and same_layout(x.shape[1:], x.stride()[1:], other.stride()[1:]):
        return other
    return empty_rows(x).copy_(other)


def match_step(x: Tensor, other: Tensor) -> Tensor:
    """Return ``other`` [N,…], as a copy if it is not laid out as a timestep of x [T,N,…], or not float32."""
    if other.dtype == torch.float32 and same_layout(other.shape, x.stride()[1:], other.stride()):
        return other
    return empty_step(x).copy_(other)


def same_layout(shape: torch.Size, strides: tuple[int, ...], others: tuple[int, ...]) -> bool:
    """Return whether two strides of a shape are one layout; along an axis of size 1 a stride has no meaning."""
    return strides == others or all(
        size == 1 or stride == other for size, stride, other in zip(shape, strides, others, strict=True)
    )
