"""The start of a run of a model, kept so that a backward pass can run it again from there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Buffers = list[dict[str, Tensor | None]]
"""Of each module of a model, by name."""


class RunStart:
    """The buffers, torch's generators and autocast's settings from which a model runs, besides inputs and memories."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model, self.buffers = model, copied_buffers(buffers_of(model))
        self.devices = [device] if device.type == "cuda" else []
        self.random = torch.get_rng_state()
        self.device_random = [torch.cuda.get_rng_state(each) for each in self.devices]
        dtype, enabled = torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
        self.autocast = torch.autocast(device.type, dtype, enabled)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Run the block from the same start, as often as is wanted; then buffers and generators are as before it."""
        now = buffers_of(self.model)
        with torch.random.fork_rng(self.devices), self.autocast:
            torch.set_rng_state(self.random)
            for device, state in zip(self.devices, self.device_random, strict=True):
                torch.cuda.set_rng_state(state, device)
            set_buffers(self.model, copied_buffers(self.buffers))  # the block may write into them
            try:
                yield
            finally:
                set_buffers(self.model, now)


def buffers_of(model: nn.Module) -> Buffers:
    """Return the buffers of every module, by name."""
    # private to torch 2.11.0: of a module's buffers by themselves, public names give no way to exchange one
    return [dict(module._buffers) for module in model.modules()]


def copied_buffers(buffers: Buffers) -> Buffers:
    """Return copies of buffers."""
    return [{name: None if each is None else each.clone() for name, each in own.items()} for own in buffers]


def set_buffers(model: nn.Module, buffers: Buffers) -> None:
    """Give every module its buffers."""
    for module, values in zip(model.modules(), buffers, strict=True):
        module._buffers.update(values)
