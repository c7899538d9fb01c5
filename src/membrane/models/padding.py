"""Batch norm over the valid timesteps of samples of different lengths."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from membrane.models.norms import BATCH_NORMS, THROUGH_TIME

Forward = Callable[[Tensor], Tensor]


@contextmanager
def valid_statistics(model: nn.Module, lengths: Tensor | None, timesteps: int, first: int = 0) -> Iterator[None]:
    """Let every batch norm of a model in training normalise valid timesteps alone; padding becomes 0.

    The model runs ``timesteps`` from the ``first`` on. ``lengths`` [N] counts the valid timesteps of each sample; None,
    or a model in eval mode: nothing changes. Where a timestep has one valid value in a channel, which has no variance,
    it is normalised by the running statistics.
    """
    if lengths is None or not model.training:
        yield
        return
    valid = torch.arange(first, first + timesteps, device=lengths.device)[:, None] < lengths  # [T,N]
    steps = {
        norm: step - first
        for module in model.modules()
        if isinstance(module, tuple(set(THROUGH_TIME)))
        for step, norm in enumerate(each for each in module.modules() if isinstance(each, BATCH_NORMS))
    }
    norms = [module for module in model.modules() if isinstance(module, BATCH_NORMS) and module.training]
    replaced = [(norm, norm.__dict__.get("forward")) for norm in norms]
    try:
        for norm in norms:
            norm.__dict__["forward"] = ValidForward(norm, norm.forward, valid, steps.get(norm))
        yield
    finally:
        for norm, before in replaced:
            norm.__dict__.pop("forward", None)
            if before is not None:
                norm.__dict__["forward"] = before


class ValidForward:
    """Calls a batch norm with the valid rows of its input.

    Arguments:
        norm: the batch norm.
        forward: its own forward.
        valid: which timesteps of which samples are valid, [T,N].
        step: the timestep that the norm is for, if it is for one; None: of the n-th call with [N,…] it is the n-th.
    """

    def __init__(self, norm: nn.Module, forward: Forward, valid: Tensor, step: int | None) -> None:
        self.norm, self.forward, self.valid = norm, forward, valid
        self.step = step
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the valid rows of x [T,N,…], [T·N,…] or, of one timestep, [N,…] → the same, 0 elsewhere."""
        multi_step = getattr(self.norm, "step_mode", "s") == "m"
        mask = self.mask_of(x, multi_step)
        rows = x[mask]
        if len(rows) * (rows[0, 0].numel() if len(rows) else 0) > 1:
            normed = self.forward(rows[None]).squeeze(0) if multi_step else self.forward(rows)
        else:
            normed = self.by_running_statistics(rows)
        return normed.new_zeros(x.shape).index_put((*mask.nonzero(as_tuple=True),), normed)

    def mask_of(self, x: Tensor, multi_step: bool) -> Tensor:
        """Return which rows of x are valid. Raises ValueError if x has another number of rows than samples."""
        steps, samples = self.valid.shape
        if multi_step and x.shape[:2] == self.valid.shape:
            return self.valid
        if multi_step and x.shape[:2] == (1, samples):  # a model that owns time is called step by step
            return self.valid[self.next_step()][None]
        if not multi_step and len(x) == samples:
            return self.valid[self.next_step()]
        if not multi_step and len(x) == steps * samples:
            return self.valid.flatten()
        raise ValueError(f"batch norm sees {list(x.shape)}, of T={steps}, N={samples} it cannot tell what is padding")

    def next_step(self) -> int:
        """Return the timestep of this call, and count it."""
        step = self.calls if self.step is None else self.step
        self.calls += 1
        return step

    def by_running_statistics(self, rows: Tensor) -> Tensor:
        """Normalise rows [M,C,…] as in evaluation."""
        norm = self.norm
        assert isinstance(norm, BATCH_NORMS)
        return functional.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
