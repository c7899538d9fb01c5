"""Channels last: the channels of a position lie side by side in memory, with which convolutions on the CPU are faster.

torch has this layout for images. A signal [N,C,S] would be reordered before each convolution, and batch norm would
treat each of its channels as scattered memory; here both layers see it as an image [N,C,1,S] of one row. Classes,
names, weights and hooks stay as they are.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn import functional

from membrane.fast.layout import with_own_stride

SIGNAL = 3  # axes of [N,C,S]


def lay_channels_last(model: nn.Module) -> None:
    """Let a model's convolutions, and with them all layers behind them, work channels last.

    A subclass that overrides how it convolves or normalises is left as it is.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in model.modules():
        layer_class: Any = type(module)
        # _conv_forward and _check_input_dim are private to torch 2.11.0: replacing them leaves forward, which handles
        # padding and statistics, to torch
        if isinstance(module, nn.Conv1d) and layer_class._conv_forward is nn.Conv1d._conv_forward:
            if module.padding_mode == "zeros":
                replace_methods(module, _conv_forward)
        elif isinstance(module, layer.BatchNorm1d) and layer_class.super_forward is layer.BatchNorm1d.super_forward:
            replace_methods(module, super_forward, _check_input_dim)
        elif isinstance(module, layer.BatchNorm2d) and layer_class.super_forward is layer.BatchNorm2d.super_forward:
            replace_methods(module, super_forward)
        elif isinstance(module, nn.BatchNorm1d) and layer_class.forward is nn.BatchNorm1d.forward:
            replace_methods(module, forward, _check_input_dim)


def replace_methods(module: nn.Module, *methods: Callable[..., Any]) -> None:
    """Give a module these functions in place of its class's methods of the same names.

    The names must be equal: a bound method is pickled by its function's name.
    """
    for method in methods:
        setattr(module, method.__name__, MethodType(method, module))


def _conv_forward(self: nn.Conv1d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve x [N,C,S] → [N,K,S'], as ``Conv1d._conv_forward`` does."""
    if x.dim() != SIGNAL:
        result: Tensor = nn.Conv1d._conv_forward(self, x, weight, bias)
        return result
    padding: Any = self.padding if isinstance(self.padding, str) else (0, *self.padding)
    image = as_image(x).contiguous(memory_format=torch.channels_last)
    stride, dilation = (1, *self.stride), (1, *self.dilation)
    result = functional.conv2d(image, as_image(weight), bias, stride, padding, dilation, self.groups)
    return result.squeeze(-2)


def forward(self: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Normalise x [N,C,S] or [N,C], as ``BatchNorm1d.forward`` does."""
    type(self)._check_input_dim(self, x)
    if x.dim() != SIGNAL:
        return nn.BatchNorm1d.forward(self, x)
    return nn.BatchNorm1d.forward(self, with_own_stride(as_image(x)[None]).squeeze(0)).squeeze(-2)


def super_forward(self: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalise x as the class does: what SpikingJelly's layers call for one timestep, or for all of them merged."""
    if isinstance(self, nn.BatchNorm2d):
        return nn.BatchNorm2d.forward(self, with_own_stride(x[None]).squeeze(0))
    return forward(self, x)


def _check_input_dim(self: nn.BatchNorm1d, x: Tensor) -> None:
    """Check nothing, because `forward` has checked x before it became an image."""


def as_image(x: Tensor) -> Tensor:
    """View [N,C,S] as [N,C,1,S]."""
    return x.unsqueeze(-2)
