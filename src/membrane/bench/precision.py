"""The precisions and layouts of a net and its input."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from membrane.bench.peers import CHANNELS_LAST
from membrane.bench.workloads import Workload
from membrane.fast.channels_last import lay_channels_last


def precision_context(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which forward and loss run. Raises KeyError for an unknown precision.

    ``fp32`` leaves torch's defaults as they are, on CUDA TF32 in convolutions included.
    """
    contexts: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "fp32": nullcontext,
        CHANNELS_LAST: nullcontext,
        "bf16": lambda: torch.autocast(device.type, torch.bfloat16),
    }
    return contexts[precision]()


def place_net(module: nn.Module, device: torch.device, channels_last: bool) -> None:
    """Move a net to the device, into its layout."""
    module.to(device)
    if channels_last:
        lay_channels_last(module)


def lay_out_input(x: Tensor, workload: Workload, channels_last: bool) -> Tensor:
    """Copy x [N,…] or [N,T,…] so that it is contiguous in its layout when time is moved to the front."""
    time_first = x.transpose(0, 1) if workload.in_data else x.unsqueeze(0)
    merged = time_first.flatten(0, 1).contiguous()
    if channels_last:
        merged = merged.movedim(1, -1).contiguous().movedim(-1, 1)
    steps = merged.view(time_first.shape)
    return steps.transpose(0, 1) if workload.in_data else steps[0]
