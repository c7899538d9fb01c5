"""The layers before the first neuron receive the same x at every timestep, so they are computed once.

Under `multistep` x [N,…] is a view [T,N,…] whose first stride is 0. A layer without memory computes x[0] alone and
returns such a view again; the first neuron's output is none. In eval mode this is exact. In training batch norm's
output and gradient are exact too; its running variance, an unbiased estimate, is corrected from N·P values for each
channel (P positions) to T·N·P.
"""

import logging
from types import MethodType
from typing import Any

from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.fast.hooks import has_own_hooks
from membrane.fast.repetition import repeat_once, repeated

log = logging.getLogger(__name__)

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
    """Let every layer without memory compute repeated input once; classes, names and hooks stay as they are.

    A model in which a layer works in place is left as it is, because what repeats cannot be written to.
    """
    if names := [name for name, module in model.named_modules() if works_in_place(module)]:
        log.info("layers before the first neuron run at every timestep: %s works in place", names[0])
        return
    for module in model.modules():
        if type(module) in WITHOUT_MEMORY:
            if "forward" in module.__dict__:  # another fast path's
                module.layer_forward = module.__dict__["forward"]
            module.forward = MethodType(forward, module)


def works_in_place(module: nn.Module) -> bool:
    """Return whether a module writes its output into its input, as ``nn.ReLU(inplace=True)`` does."""
    return bool(getattr(module, "inplace", False))


def forward(self: Any, x: Tensor) -> Tensor:
    """Run the layer on x [T,N,…] or [N,…]; a view that repeats x gives a view that repeats the output."""
    if self.step_mode != "m" or len(x) == 1 or x.stride(0) != 0 or not one_step_suffices(self, x):
        return run_layer(self, x)
    estimates = isinstance(self, BATCH_NORM) and self.training and self.running_var is not None
    before = self.running_var.clone() if estimates else None
    self.step_mode = "s"
    try:
        step = repeated(x)
        once = run_layer(self, x[0] if step is None else step)
    finally:
        self.step_mode = "m"
    if before is not None:
        correct_running_variance(self, before, x)
    # what hooks of the layer saw may be asked for its gradient, which then flows through it
    return once.unsqueeze(0).expand(len(x), *once.shape) if has_own_hooks(self) else repeat_once(once, len(x))


def run_layer(module: Any, x: Tensor) -> Tensor:
    """Run a layer as it ran before `run_stem_once`."""
    before = module.__dict__.get("layer_forward")
    output: Tensor = type(module).forward(module, x) if before is None else before(x)
    return output


def one_step_suffices(module: Any, x: Tensor) -> bool:
    """Return whether one timestep is enough: batch norm needs two values for each channel, and a fixed momentum."""
    if not (isinstance(module, BATCH_NORM) and module.training):
        return True
    return values_per_channel(x) // len(x) > 1 and module.momentum is not None


def values_per_channel(x: Tensor) -> int:
    """Count the values of each channel of x [T,N,C,…]."""
    return x.numel() // x.shape[2]


def correct_running_variance(norm: Any, before: Tensor, x: Tensor) -> None:
    """Correct the running variance to what T·N·P values for each channel would have made it."""
    count = values_per_channel(x)
    count_once = count // len(x)
    factor = count / (count - 1) * (count_once - 1) / count_once
    kept = before * (1 - norm.momentum)
    # through .data: autograd has saved the buffer, though the gradient of training does not read it
    norm.running_var.data.sub_(kept).mul_(factor).add_(kept)
