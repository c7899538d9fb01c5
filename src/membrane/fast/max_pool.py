"""Max pools on the CPU in one pass: forward and gradient in C, with the place of the largest value in a byte.

torch keeps x and, of each window, an index of eight bytes, fills the gradient with zeros and then writes into it here
and there; images whose channels come first it does not vectorise. Values and gradients are equal in all bits.
"""

import ctypes
import math
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.fast.kernels import compiled_library, thread_count

SOURCE = Path(__file__).with_name("pool.c")
DIMS = {layer.MaxPool1d: 1, layer.MaxPool2d: 2}
DTYPES = (torch.float32, torch.bfloat16)
LARGEST_WINDOW = 256
Window = tuple[int, int]
"""Height and width; a signal has height 1."""


def pool_in_one_pass(model: nn.Module) -> None:
    """Let every max pool of a model that can do so run in one pass; classes, names and hooks stay as they are."""
    for module in model.modules():
        if type(module) in DIMS and window_of(module) is not None:
            module.forward = MethodType(forward, module)


def window_of(module: Any) -> Window | None:
    """Return the window of a pool whose windows lie side by side without gaps, else None."""
    dims = DIMS[type(module)]
    sizes = [(each,) * dims if isinstance(each, int) else tuple(each) for each in (module.kernel_size, module.stride)]
    plain = not module.ceil_mode and not module.return_indices
    padded, dilated = module.padding not in (0, (0,) * dims), module.dilation not in (1, (1,) * dims)
    if sizes[0] != sizes[1] or not plain or padded or dilated or math.prod(sizes[0]) > LARGEST_WINDOW:
        return None
    return (1, *sizes[0]) if dims == 1 else sizes[0]  # type: ignore[return-value]


def forward(self: Any, x: Tensor) -> Tensor:
    """Pool x [N,C,…], in multi-step mode [T,N,C,…], as the layer's class does."""
    dims, leading = DIMS[type(self)], 1 if self.step_mode == "s" else 2
    window = window_of(self)
    covered = window is not None and can_pool(x, leading + 1 + dims, window[-dims:])
    kernel = pool_kernel(window, x.dtype) if covered else None
    if kernel is None:
        result: Tensor = type(self).forward(self, x)
        return result
    merged = x.flatten(0, 1) if leading == 2 else x
    pooled: Tensor = MaxPool.apply(merged.unsqueeze(-2) if dims == 1 else merged, window, kernel)  # type: ignore[no-untyped-call]
    pooled = pooled.squeeze(-2) if dims == 1 else pooled
    return pooled.view(*x.shape[:leading], *pooled.shape[1:])


def can_pool(x: Tensor, axes: int, window: tuple[int, ...]) -> bool:
    """Return whether x is a CPU tensor of so many axes that holds a window, and torch is not recording operations."""
    if type(x) is not Tensor or x.device.type != "cpu" or x.dtype not in DTYPES or x.dim() != axes or not x.numel():
        return False
    if any(size < extent for size, extent in zip(x.shape[-len(window) :], window, strict=True)):
        return False
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


class MaxPool(torch.autograd.Function):
    """x [n,C,H,W], a window, its kernel → the largest values [n,C,H′,W′], laid out as x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window, kernel: "PoolKernel") -> Tensor:
        """Pool, and keep where the largest values were if a gradient is wanted."""
        x, last = without_gaps(x)
        pooled, place = kernel.forward(x, last, window, ctx.needs_input_grad[0])
        ctx.kernel, ctx.window, ctx.shape, ctx.last = kernel, window, x.shape, last
        ctx.save_for_backward(place)
        return pooled

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Give each gradient to the place of the largest value."""
        [place] = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated again
            indices = flat_indices(place, ctx.window, ctx.shape[-1]).flatten(2)  # max_unpool2d is not deterministic
            return g.new_zeros(ctx.shape).flatten(2).scatter(2, indices, g.flatten(2)).view(ctx.shape), None, None
        order = torch.channels_last if ctx.last else torch.contiguous_format
        return ctx.kernel.backward(g.contiguous(memory_format=order), place, ctx.shape, ctx.last), None, None


def flat_indices(place: Tensor, window: Window, width: int) -> Tensor:
    """Convert places in windows [n,C,H′,W′] to indices in an image that is so wide."""
    place = place.long()
    rows = torch.arange(place.shape[-2])[:, None] * window[0] + place // window[1]
    return rows * width + torch.arange(place.shape[-1]) * window[1] + place % window[1]


def without_gaps(x: Tensor) -> tuple[Tensor, bool]:
    """Return x [n,C,H,W], a copy if it has gaps, and whether its channels lie last."""
    if x.is_contiguous():
        return x, False
    if x.is_contiguous(memory_format=torch.channels_last):
        return x, True
    return x.contiguous(), False


class PoolKernel:
    """The library of one window."""

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        self._forward, self._backward = functions.forward, functions.backward
        for function in (self._forward, self._backward):
            function.restype = None
            function.argtypes = [*[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 4, ctypes.c_int]

    def forward(self, x: Tensor, last: bool, window: Window, keep: bool) -> tuple[Tensor, Tensor | None]:
        """Pool x [n,C,H,W] → the largest values [n,C,H′,W′], and their places if they are to be kept."""
        shape = (*x.shape[:2], x.shape[2] // window[0], x.shape[3] // window[1])
        order = torch.channels_last if last else torch.contiguous_format
        pooled = torch.empty(shape, dtype=x.dtype, memory_format=order)
        place = torch.empty(shape, dtype=torch.uint8, memory_format=order) if keep else None
        places = None if place is None else place.data_ptr()
        self._forward(x.data_ptr(), pooled.data_ptr(), places, *sizes(x.shape, last), thread_count(x))
        return pooled, place

    def backward(self, g: Tensor, place: Tensor, shape: torch.Size, last: bool) -> Tensor:
        """Spread g [n,C,H′,W′] over x's shape [n,C,H,W]."""
        order = torch.channels_last if last else torch.contiguous_format
        g_x = torch.empty(shape, dtype=g.dtype, memory_format=order)
        self._backward(g.data_ptr(), place.data_ptr(), g_x.data_ptr(), *sizes(shape, last), thread_count(g_x))
        return g_x


def sizes(shape: torch.Size, last: bool) -> tuple[int, int, int, int]:
    """Return n, H, W and lanes, as in C, of [n,C,H,W]."""
    samples, channels, height, width = shape
    return (samples, height, width, channels) if last else (samples * channels, height, width, 1)


@cache
def pool_kernel(window: Window, dtype: torch.dtype) -> PoolKernel | None:
    """Return the kernel of a window, compiled if it is not on disk; None, after a line, if it cannot be."""
    wide = ["-DBFLOAT16"] if dtype == torch.bfloat16 else []
    return compiled_library(SOURCE, [f"-DHEIGHT={window[0]}", f"-DWIDTH={window[1]}", *wide], PoolKernel, "max pools")
