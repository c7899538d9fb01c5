"""Axis order: arrays at rest have the channels last, models want them first.

Without timesteps ``[N,S,C] ↔ [N,C,S]`` and ``[N,H,W,C] ↔ [N,C,H,W]``; with timesteps ``[N,T,S,C] ↔ [N,T,C,S]`` and
``[N,T,H,W,C] ↔ [N,T,C,H,W]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Array = TypeVar("Array", "Tensor", "NDArray[Any]")


def channels_first(x: Array, timesteps: bool) -> Array:
    """View [N,S,C] as [N,C,S], [N,H,W,C] as [N,C,H,W]; with timesteps, which stay second, [N,T,…,C] as [N,T,C,…].

    A view. ``timesteps`` is needed because four dimensions may be [N,H,W,C] or [N,T,S,C]. Raises ValueError for any
    other number of dimensions.
    """
    check_dimensions(x.ndim, x.shape, "[N,T,S,C] or [N,T,H,W,C]" if timesteps else "[N,S,C] or [N,H,W,C]", timesteps)
    return move_axis(x, -1, 2 if timesteps else 1)


def channels_last(x: Array, timesteps: bool) -> Array:
    """View [N,C,S] as [N,S,C], [N,C,H,W] as [N,H,W,C]; with timesteps, which stay second, [N,T,C,…] as [N,T,…,C].

    A view, and the inverse of `channels_first`. Raises ValueError for any other number of dimensions.
    """
    check_dimensions(x.ndim, x.shape, "[N,T,C,S] or [N,T,C,H,W]" if timesteps else "[N,C,S] or [N,C,H,W]", timesteps)
    return move_axis(x, 2 if timesteps else 1, -1)


def move_axis(x: Array, source: int, destination: int) -> Array:
    """Move an axis of an array or a tensor, as a view."""
    if isinstance(x, np.ndarray):
        return np.moveaxis(x, source, destination)
    return x.movedim(source, destination)


def check_dimensions(dimensions: int, shape: tuple[int, ...], expected: str, timesteps: bool) -> None:
    """Raise ValueError unless there are 3 or 4 dimensions, with timesteps 4 or 5; ``expected`` names them."""
    allowed = (4, 5) if timesteps else (3, 4)
    if dimensions not in allowed:
        raise ValueError(
            f"expected {allowed[0]} or {allowed[1]} dimensions, {expected} ({'with' if timesteps else 'without'} "
            f"timesteps), but got {dimensions}: {list(shape)}"
        )
