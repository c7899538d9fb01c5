"""Batch norm of all timesteps at once, each by the statistics of its own, as T calls of the layer compute them.

torch's kernels run timestep by timestep and write into one piece of memory: outputs and running statistics equal those
of T calls in all bits. A layer before the first neuron sees T times the same batch: it normalises it once and updates
its running statistics T times.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from membrane.fast.channels_last import as_image
from membrane.fast.layout import empty_rows

RANKS = {"BatchNorm1d": (3, 4), "BatchNorm2d": (5,)}
"""Axes of [T,N,C,…] that a batch norm accepts, by its class's name."""


def normalise_steps(norm: Any, x: Tensor) -> Tensor | None:
    """Normalise x [T,N,C,…] in training → the same shape; None if only calls of the layer can, or can say why not."""
    if not fits(norm, x):
        return None
    image = image_of(norm, x)
    if not image[0].is_contiguous() and not (
        image.dim() == 5 and image[0].is_contiguous(memory_format=torch.channels_last)
    ):
        return None
    momenta = count_batches(norm, len(x))
    apply: Callable[..., Tensor] = BatchNormSteps.apply
    y = apply(image, norm.weight, norm.bias, (norm.running_mean, norm.running_var), momenta, norm.eps)
    return y.reshape(x.shape) if image is x else y.squeeze(-2)


def fits(norm: Any, x: Tensor) -> bool:
    """Return whether x [T,N,C,…] is what the norm is for, and has a variance at every timestep."""
    statistics = norm.running_mean is not None and norm.num_batches_tracked is not None
    if not statistics or x.dim() not in RANKS[type(norm).__name__] or x.shape[2] != norm.num_features:
        return False
    return x[0].numel() // x.shape[2] > 1


def image_of(norm: Any, x: Tensor) -> Tensor:
    """View x [T,N,C,…] as the norm sees it: a signal as an image of one row if its layout is channels last."""
    return as_image(x) if x.dim() == 4 and "super_forward" in norm.__dict__ else x


def count_batches(norm: Any, batches: int) -> list[float]:
    """Count further batches; return the momentum of each, which without a fixed one is that of a running average."""
    norm.num_batches_tracked.add_(batches)
    if norm.momentum is not None:
        return [float(norm.momentum)] * batches
    count = int(norm.num_batches_tracked)
    return [1.0 / (count - later) for later in reversed(range(batches))]


def repeat_update(norm: Any, x: Tensor, times: int) -> None:
    """Update the running statistics by the batch x [N,C,…] so often again."""
    if norm.running_mean is None:
        return
    image = image_of(norm, x[None])[0]
    # through .data: autograd has saved the buffers, though the gradient of training does not read them
    mean, variance = norm.running_mean.data, norm.running_var.data
    with torch.no_grad():
        for momentum in count_batches(norm, times):
            torch.batch_norm_update_stats(image, mean, variance, momentum)


class BatchNormSteps(torch.autograd.Function):
    """x [T,N,C,…], weight and bias [C] or None, running mean and variance [C] each → normalised [T,N,C,…]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running: tuple[Tensor, Tensor],
        momenta: list[float],
        eps: float,
    ) -> Tensor:
        """Normalise every timestep and update the running statistics by it, in order."""
        y = empty_rows(x)
        mean, inverse = (running[0].new_empty(len(x), x.shape[2]) for _ in range(2))
        for t, momentum in enumerate(momenta):
            out = (y[t], mean[t], inverse[t])
            torch.native_batch_norm(x[t], weight, bias, *running, True, momentum, eps, out=out)
        ctx.eps = eps
        ctx.save_for_backward(x, weight, mean, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, g_y: Tensor) -> Any:
        """Compute the gradients of x, weight and bias; those of the parameters add up from the last timestep on."""
        x, weight, mean, inverse = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        g_x = empty_rows(x) if wanted[0] else None
        sums: list[Tensor | None] = [None, None]
        for t in reversed(range(len(x))):
            g_step, *g_parameters = torch.ops.aten.native_batch_norm_backward(
                g_y[t], x[t], weight, None, None, mean[t], inverse[t], True, ctx.eps, wanted
            )
            if g_x is not None:
                g_x[t].copy_(g_step)
            sums = [g if total is None or g is None else total + g for total, g in zip(sums, g_parameters, strict=True)]
        return g_x, *sums, None, None, None
