"""A backward pass that runs a model again, one chunk of timesteps at a time, where no gradient crosses chunks.

The forward pass keeps no graph. The backward pass has the gradient of the loss by the outputs of all timesteps; it
computes one chunk once more, with its graph, adds up the gradients of the parameters and drops the graph before the
next. So memory grows with the length of a chunk and not with T, whatever the loss is, for one forward more; unlike
`recomputation`, which keeps the states between chunks because gradients cross them. To autograd it is one operation on
the parameters: their gradients are accumulated, unscaled and clipped as ever.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from membrane.fast.recomputation import replaced_tensors, tensors_of
from membrane.fast.run_start import RunStart

Chunks = Callable[[], Iterator[Any]]
"""Runs a model from its first timestep on and yields its outputs chunk by chunk, tensors [k,N,…]."""


def backward_in_chunks(model: nn.Module, chunks: Chunks) -> Tensor | dict[str, Tensor]:
    """Run a model without a graph → outputs [T,N,…], of which the backward pass runs it again chunk by chunk.

    The second run draws from torch's generators what the first drew, and updates no buffer a second time.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    structure: list[Any] = []
    apply: Callable[..., tuple[Tensor, ...]] = ChunkedBackward.apply
    tensors = apply(model, chunks, structure, *parameters)
    outputs: Tensor | dict[str, Tensor] = replaced_tensors(structure.pop(), tensors)
    return outputs


class ChunkedBackward(torch.autograd.Function):
    """Model, its chunks, a list that receives outputs without a graph, its parameters → tensors [T,N,…] of outputs."""

    @staticmethod
    def forward(
        ctx: Any, model: nn.Module, chunks: Chunks, structure: list[Any], *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        """Run all chunks; autograd records nothing in here."""
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        ctx.chunks, ctx.start = chunks, RunStart(model, device)
        ctx.save_for_backward(*parameters)
        outputs = list(chunks())
        torch.clear_autocast_cache()  # it holds casts of the parameters through which no gradient flows
        structure.append(outputs[0])
        return tuple(torch.cat(parts) for parts in zip(*map(tensors_of, outputs), strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Run each chunk again and add up its gradients."""
        parameters: tuple[Tensor, ...] = ctx.saved_tensors
        totals: list[Tensor | None] = [None] * len(parameters)
        done = 0
        with ctx.start.restored(), torch.enable_grad():
            for chunk in ctx.chunks():
                outputs = tensors_of(chunk)
                steps = len(outputs[0])
                parts = [gradient[done : done + steps] for gradient in gradients]
                add_gradients(totals, parameters, outputs, parts)
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
