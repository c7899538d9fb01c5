"""The start of a run of a model, kept so that a backward pass can run it again from there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunStart:
    """The buffers, torch's generators and autocast's settings from which a model runs, besides inputs and memories."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model, self.buffers = model, copied_buffers(model)
        self.devices = [device] if device.type == "cuda" else []
        self.random = torch.get_rng_state()
        self.device_random = [torch.cuda.get_rng_state(each) for each in self.devices]
        dtype, enabled = torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
        self.autocast = torch.autocast(device.type, dtype, enabled)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Run the block from the same start; then buffers and generators are as before it."""
        # private to torch 2.11.0: public names give no way to exchange a buffer
        now = [dict(module._buffers) for module in self.model.modules()]
        with torch.random.fork_rng(self.devices), self.autocast:
            torch.set_rng_state(self.random)
            for device, state in zip(self.devices, self.device_random, strict=True):
                torch.cuda.set_rng_state(state, device)
            set_buffers(self.model, self.buffers)
            try:
                yield
            finally:
                set_buffers(self.model, now)


def copied_buffers(model: nn.Module) -> list[dict[str, Tensor | None]]:
    """Return copies of the buffers of every module, by name."""
    # private to torch 2.11.0: of a module's buffers by themselves, public names give no way to exchange one
    return [
        {name: None if buffer is None else buffer.clone() for name, buffer in module._buffers.items()}
        for module in model.modules()
    ]


def set_buffers(model: nn.Module, buffers: list[dict[str, Tensor | None]]) -> None:
    """Give every module its buffers."""
    for module, values in zip(model.modules(), buffers, strict=True):
        module._buffers.update(values)
