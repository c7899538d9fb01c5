"""The stem once: what stands before the first neuron sees the same x at every step, so it is computed once.

Under `multistep` x [N,…] is a view [T,N,…] whose first stride is 0. A layer without memory that is given such a view
computes x[0] alone and hands on a view of the same kind; the first neuron ends that. In eval mode this is exact. In
training so are batch norm's output and gradient; its running variance, an unbiased estimate, is corrected from N·P
values a channel (P positions) to the T·N·P that there are.
"""

from types import MethodType
from typing import Any

from spikingjelly.activation_based import layer
from torch import Tensor, nn

WITHOUT_MEMORY = (
    layer.Conv1d,
    layer.Conv2d,
    layer.Linear,
    layer.BatchNorm1d,
    layer.BatchNorm2d,
    layer.GroupNorm,
    layer.MaxPool1d,
    layer.MaxPool2d,
    layer.AvgPool1d,
    layer.AvgPool2d,
    layer.Flatten,
)
BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)


def run_stem_once(model: nn.Module) -> None:
    """Let every layer without memory in a model compute repeated input once; classes, names and hooks stay."""
    for module in model.modules():
        if type(module) in WITHOUT_MEMORY:
            module.forward = MethodType(forward, module)


def forward(self: Any, x: Tensor) -> Tensor:
    """x [T,N,…] or [N,…] → what the layer's class makes of it; of a view that repeats x, a view again."""
    if self.step_mode != "m" or len(x) == 1 or x.stride(0) != 0 or not worthwhile(self, x):
        result: Tensor = type(self).forward(self, x)
        return result
    estimates = isinstance(self, BATCH_NORM) and self.training and self.running_var is not None
    before = self.running_var.clone() if estimates else None
    self.step_mode = "s"
    try:
        once: Tensor = type(self).forward(self, x[0])
    finally:
        self.step_mode = "m"
    if before is not None:
        correct(self, before, x)
    return once.unsqueeze(0).expand(len(x), *once.shape)


def worthwhile(module: Any, x: Tensor) -> bool:
    """Whether one timestep is enough: batch norm in training needs two values a channel, and a fixed momentum."""
    if not (isinstance(module, BATCH_NORM) and module.training):
        return True
    return values(x) // len(x) > 1 and module.momentum is not None


def values(x: Tensor) -> int:
    """x [T,N,C,…] → the values of one channel."""
    return x.numel() // x.shape[2]


def correct(norm: Any, before: Tensor, x: Tensor) -> None:
    """The running variance as the mean over T·N·P values would have made it."""
    whole = values(x)
    one = whole // len(x)
    factor = whole / (whole - 1) * (one - 1) / one
    kept = before * (1 - norm.momentum)
    # through .data: autograd has kept the buffer, though the gradient of training does not read it
    norm.running_var.data.sub_(kept).mul_(factor).add_(kept)
