"""Memory of [T,N,…] for neurons, which do not care how the axes of a timestep are ordered while it has no gaps."""

import torch
from torch import Tensor


def dense(x: Tensor) -> bool:
    """Whether the numbers of each timestep of x [T,N,…] lie side by side, in any order of the axes."""
    if x.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(x.stride()[1:], x.shape[1:], strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def rows(x: Tensor) -> Tensor:
    """x [T,N,…], dense in each timestep → a view [T,n] in the order of memory."""
    return x.as_strided((len(x), x.numel() // len(x)), (x.stride(0), 1))


def like_rows(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """An empty tensor as x [T,N,…], its timesteps laid out as those of x, one after the other."""
    if x.is_contiguous():
        return torch.empty(x.shape, dtype=dtype or x.dtype)
    return torch.empty_strided(x.shape, (x.numel() // len(x), *x.stride()[1:]), dtype=dtype or x.dtype)


def like_step(x: Tensor) -> Tensor:
    """An empty float32 tensor [N,…] laid out as a timestep of x [T,N,…]."""
    if x.is_contiguous():
        return torch.empty(x.shape[1:], dtype=torch.float32)
    return torch.empty_strided(x.shape[1:], x.stride()[1:], dtype=torch.float32)


def as_rows_of(x: Tensor, given: Tensor) -> Tensor:
    """``given`` [T,N,…] as it is where its timesteps are laid out as those of x, else a copy; in the dtype of x."""
    if given.dtype == x.dtype and alike(x.shape[1:], x.stride()[1:], given.stride()[1:]):
        return given
    return like_rows(x).copy_(given)


def as_step_of(x: Tensor, given: Tensor) -> Tensor:
    """``given`` [N,…] as it is where it is laid out as a timestep of x [T,N,…], else a copy; in float32."""
    if given.dtype == torch.float32 and alike(given.shape, x.stride()[1:], given.stride()):
        return given
    return like_step(x).copy_(given)


def alike(shape: torch.Size, ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    """Whether two layouts of a shape are one: along an axis of size 1 a stride says nothing."""
    return ours == theirs or all(
        size == 1 or one == other for size, one, other in zip(shape, ours, theirs, strict=True)
    )
