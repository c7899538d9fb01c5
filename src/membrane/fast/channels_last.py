"""Channels last: the channels of one position side by side in memory, which convolutions on the CPU are faster with.

torch has that layout for images. A signal [N,C,S] it would put in order again before each convolution, and its batch
norm would take every channel for scattered memory; here both take it for an image [N,C,1,S] of one row. Classes, names,
weights and hooks stay as they are.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn import functional

SIGNAL = 3  # axes of [N,C,S]


def lay_channels_last(model: nn.Module) -> None:
    """Let a model's convolutions, and with them all that follows, lie channels last.

    A subclass that convolves or normalises in a way of its own is left to it.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in model.modules():
        kind: Any = type(module)
        if isinstance(module, nn.Conv1d) and kind._conv_forward is nn.Conv1d._conv_forward:
            if module.padding_mode == "zeros":
                give(module, _conv_forward)
        elif isinstance(module, layer.BatchNorm1d) and kind.super_forward is layer.BatchNorm1d.super_forward:
            give(module, super_forward, _check_input_dim)
        elif isinstance(module, nn.BatchNorm1d) and kind.forward is nn.BatchNorm1d.forward:
            give(module, forward, _check_input_dim)


def give(module: nn.Module, *methods: Callable[..., Any]) -> None:
    """Let a module have these in place of its class's methods of the same names, by which they can be pickled."""
    for method in methods:
        setattr(module, method.__name__, MethodType(method, module))


def _conv_forward(self: nn.Conv1d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [N,C,S] → [N,K,S'], as ``Conv1d._conv_forward``."""
    if x.dim() != SIGNAL:
        result: Tensor = nn.Conv1d._conv_forward(self, x, weight, bias)
        return result
    padding: Any = self.padding if isinstance(self.padding, str) else (0, *self.padding)
    image = as_image(x).contiguous(memory_format=torch.channels_last)
    stride, dilation = (1, *self.stride), (1, *self.dilation)
    result = functional.conv2d(image, as_image(weight), bias, stride, padding, dilation, self.groups)
    return result.squeeze(-2)


def forward(self: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """x [N,C,S] or [N,C] → the same, as ``BatchNorm1d.forward``."""
    type(self)._check_input_dim(self, x)
    way = nn.BatchNorm1d.forward
    return way(self, as_image(x)).squeeze(-2) if x.dim() == SIGNAL else way(self, x)


def super_forward(self: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """SpikingJelly's name for it: what its layers do at one timestep, or at all of them merged."""
    return forward(self, x)


def _check_input_dim(self: nn.BatchNorm1d, x: Tensor) -> None:
    """Nothing: `forward` has looked at x before it became an image."""


def as_image(x: Tensor) -> Tensor:
    """[N,C,S] → [N,C,1,S]."""
    return x.unsqueeze(-2)
