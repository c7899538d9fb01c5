"""A backward pass that runs a model again, one chunk of timesteps at a time, where no gradient crosses chunks.

The forward pass keeps no graph. The backward pass has the gradient of the loss by the outputs of all timesteps; it
computes one chunk once more, with its graph, adds up the gradients of the parameters and drops the graph before the
next. So memory grows with the length of a chunk and not with T, whatever the loss is, for one forward more. To autograd
it is one operation on the parameters: their gradients are accumulated, unscaled and clipped as ever.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Chunk = Tensor | dict[str, Tensor]
"""Outputs of k successive timesteps, [k,N,…] each."""
Run = Callable[[], Iterator[Chunk]]
"""Runs a model from its first timestep on and yields its outputs chunk by chunk."""


def backward_in_chunks(model: nn.Module, run: Run) -> Chunk:
    """Run a model without a graph → outputs [T,N,…], of which the backward pass runs it again chunk by chunk.

    The second run draws from torch's generators what the first drew, and updates no buffer a second time.
    """
    keys: list[str] = []
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    apply: Callable[..., tuple[Tensor, ...]] = ChunkedBackward.apply
    outputs = apply(model, run, keys, *parameters)
    return dict(zip(keys, outputs, strict=True)) if keys else outputs[0]


class ChunkedBackward(torch.autograd.Function):
    """Model, its run, a list that is filled with the keys of its outputs, and its parameters → outputs [T,N,…]."""

    @staticmethod
    def forward(ctx: Any, model: nn.Module, run: Run, keys: list[str], *parameters: Tensor) -> tuple[Tensor, ...]:
        """Run all chunks; autograd records nothing in here."""
        ctx.run, ctx.start = run, Start(model)
        ctx.save_for_backward(*parameters)
        outputs = join_chunks(run())
        torch.clear_autocast_cache()  # it holds casts of the parameters through which no gradient flows
        if isinstance(outputs, dict):
            keys.extend(outputs)
        return tensors_of(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Run each chunk again and add up its gradients."""
        parameters: tuple[Tensor, ...] = ctx.saved_tensors
        totals: list[Tensor | None] = [None] * len(parameters)
        done = 0
        with ctx.start.restored(), torch.enable_grad():
            for chunk in ctx.run():
                steps = len(tensors_of(chunk)[0])
                parts = [gradient[done : done + steps] for gradient in gradients]
                add_gradients(totals, parameters, tensors_of(chunk), parts)
                done += steps
        return None, None, None, *totals


def add_gradients(
    totals: list[Tensor | None], parameters: Sequence[Tensor], outputs: Sequence[Tensor], gradients: Sequence[Tensor]
) -> None:
    """Add the gradients by the parameters, for outputs and the gradients by these, to ``totals``; None is 0."""
    pairs = [pair for pair in zip(outputs, gradients, strict=True) if pair[0].requires_grad]
    if not pairs:
        return
    used, g_used = zip(*pairs, strict=True)
    for index, part in enumerate(torch.autograd.grad(used, parameters, g_used, allow_unused=True)):
        total = totals[index]
        # not in place: gradients of several parameters may share memory
        totals[index] = part if total is None else total if part is None else total + part


class Start:
    """The start of a model's run besides its inputs: torch's generators, buffers, and autocast's settings."""

    def __init__(self, model: nn.Module) -> None:
        self.buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        self.devices = [device] if device.type == "cuda" else []
        self.random = torch.get_rng_state()
        self.random_on_device = [torch.cuda.get_rng_state(each) for each in self.devices]
        dtype, enabled = torch.get_autocast_dtype(device.type), torch.is_autocast_enabled(device.type)
        self.autocast = partial(torch.autocast, device.type, dtype, enabled)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Run the block from the same start; then buffers and generators are as before it."""
        now = [buffer.clone() for buffer, _ in self.buffers]
        with torch.random.fork_rng(devices=self.devices), self.autocast():
            torch.set_rng_state(self.random)
            for device, state in zip(self.devices, self.random_on_device, strict=True):
                torch.cuda.set_rng_state(state, device)
            set_values(self.buffers)
            try:
                yield
            finally:
                set_values(zip((buffer for buffer, _ in self.buffers), now, strict=True))


@torch.no_grad()
def set_values(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Copy the second of each pair of tensors into the first."""
    for tensor, value in pairs:
        tensor.copy_(value)


def join_chunks(chunks: Iterable[Chunk]) -> Chunk:
    """Concatenate chunks of outputs [k,N,…] → [T,N,…]."""
    listed = list(chunks)
    dicts = [chunk for chunk in listed if isinstance(chunk, dict)]
    if dicts:
        return {key: torch.cat([chunk[key] for chunk in dicts]) for key in dicts[0]}
    return torch.cat([chunk for chunk in listed if isinstance(chunk, Tensor)])


def tensors_of(chunk: Chunk) -> tuple[Tensor, ...]:
    """Return the tensors of a chunk."""
    return tuple(chunk.values()) if isinstance(chunk, dict) else (chunk,)
