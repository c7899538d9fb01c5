"""Channels last: the channels of one position side by side in memory, which convolutions on the CPU are faster with.

torch has that layout for images. A signal [N,C,S] it would put in order again before each convolution, and its batch
norm would take every channel for scattered memory; here both take it for an image [N,C,1,S] of one row. Classes, names,
weights and hooks stay as they are.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SIGNAL = 3  # axes of [N,C,S]


def lay_channels_last(model: nn.Module) -> None:
    """Let a model's convolutions, and with them all that follows, lie channels last."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in model.modules():
        if isinstance(module, nn.Conv1d) and module.padding_mode == "zeros":
            module._conv_forward = MethodType(convolved, module)  # type: ignore[method-assign]
        elif isinstance(module, nn.BatchNorm1d):
            of_torch = "super_forward" if hasattr(module, "super_forward") else "forward"  # SpikingJelly's, torch's own
            setattr(module, of_torch, MethodType(normed, module))
            module._check_input_dim = MethodType(check_axes, module)  # type: ignore[method-assign]


def convolved(self: nn.Conv1d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [N,C,S] → [N,K,S'], as ``Conv1d._conv_forward``."""
    padding: Any = self.padding if isinstance(self.padding, str) else (0, *self.padding)
    image = as_image(x).contiguous(memory_format=torch.channels_last)
    stride, dilation = (1, *self.stride), (1, *self.dilation)
    return functional.conv2d(image, as_image(weight), bias, stride, padding, dilation, self.groups).squeeze(-2)


def normed(self: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """x [N,C,S] or [N,C] → the same, as ``BatchNorm1d.forward``."""
    way = nn.BatchNorm1d.forward
    return way(self, as_image(x)).squeeze(-2) if x.dim() == SIGNAL else way(self, x)


def check_axes(self: nn.BatchNorm1d, x: Tensor) -> None:
    """[N,C], [N,C,S], or an image of one row."""
    if x.dim() != SIGNAL + 1 or x.shape[2] != 1:
        nn.BatchNorm1d._check_input_dim(self, x)


def as_image(x: Tensor) -> Tensor:
    """[N,C,S] → [N,C,1,S]."""
    return x.unsqueeze(-2)
