"""Memory of [T,N,…] for neurons, which do not care how the axes of a timestep are ordered as long as there are no gaps."""

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


def as_rows_of(x: Tensor, given: Tensor, dtype: torch.dtype) -> Tensor:
    """``given`` [T,N,…] as it is where its timesteps are laid out as those of x and it has that dtype, else a copy."""
    alike = all(
        size == 1 or ours == theirs
        for size, ours, theirs in zip(x.shape[1:], x.stride()[1:], given.stride()[1:], strict=True)
    )
    if given.dtype == dtype and alike:
        return given
    return like_rows(x, dtype).copy_(given)
