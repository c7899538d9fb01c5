"""Recomputation: `trainer.recompute` timesteps make a chunk, which the backward pass runs again.

Without it training keeps what every layer needs for its gradient at all T timesteps. In chunks it keeps the states
between them, and what one chunk needs at a time: Gruslys et al. 2016, arXiv:1606.03401. The last chunk, with which the
backward pass begins, runs once. A chunk begins again with the memories, the buffers and the random numbers that it
began with; afterwards everything is as the forward pass left it.

torch.utils.checkpoint would keep a graph of all T timesteps. Its nodes lie between the large tensors, so that freed
memory stays in pieces: measured with glibc, a process then grows four times as much as its tensors.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils import _pytree as pytree  # private to torch 2.11.0: memories and outputs may be lists or dicts

from membrane.fast.hooks import has_own_hooks
from membrane.fast.run_start import RunStart
from membrane.fast.stem_once import BATCH_NORM, WITHOUT_MEMORY

Run = Callable[[nn.Module, Tensor, int], Any]
"""(model, x [k,N,…] of the timesteps from a number on, that number) → outputs [k,N,…]."""


def run_in_chunks(run: Run, model: nn.Module, x: Tensor, size: int | None) -> list[Any]:
    """Run x [T,N,…] in chunks of ``size`` timesteps → the outputs [k,N,…] of each.

    One chunk of all timesteps where there is no gradient, or if ``size`` is None.
    """
    steps = len(x)
    if size is None or size >= steps or not torch.is_grad_enabled():
        return [run(model, x, 0)]
    model, x = behind_stem(model, x)
    *starts, last = range(0, steps, size)
    outputs = [run_twice(run, model, timesteps_of(x, first, size), first) for first in starts]
    return [*outputs, run(model, timesteps_of(x, last, steps - last), last)]


def timesteps_of(x: Tensor, first: int, count: int) -> Tensor:
    """Return timesteps of x [T,N,…] from the first on, or of one timestep [1,N,…] that repeats → [k,N,…].

    A repeated timestep is repeated for each chunk by itself, so that its gradient is never kept for all T.
    """
    return x.expand(count, *x.shape[1:]) if len(x) == 1 else x[first : first + count]


def run_twice(run: Run, model: nn.Module, x: Tensor, first: int) -> Any:
    """Run a chunk x [k,N,…] without a graph → outputs [k,N,…], whose gradient runs it again."""
    chunk = ChunkOfTime(run, model, x, first)
    apply: Callable[..., tuple[Tensor, ...]] = Recomputed.apply
    outputs, memories = chunk.with_tensors(apply(chunk, x, *chunk.state, *chunk.parameters))
    set_memories(model, memories)
    return outputs


class ChunkOfTime:
    """The timesteps of a model from the ``first`` on, with the state that the model has before them."""

    def __init__(self, run: Run, model: nn.Module, x: Tensor, first: int) -> None:
        self.run, self.model, self.first = run, model, first
        self.start, self.before = RunStart(model, x.device), memories_of(model)
        self.state = tensors_of(self.before)
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def tensors(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run x [k,N,…] → the tensors of the outputs [k,N,…] and of the memories after them."""
        self.results: Any = (self.run(self.model, x, self.first), memories_of(self.model))
        return tuple(tensors_of(self.results))

    def with_tensors(self, tensors: Iterable[Tensor]) -> Any:
        """Return the outputs and memories with these tensors in place of their own, and forget their own."""
        results, self.results = self.results, None
        return replaced_tensors(results, tensors)

    @contextmanager
    def begun_again(self, state: list[Tensor]) -> Iterator[None]:
        """Give the model what it had before the chunk, its state in these tensors; after the block what it has now."""
        memories = memories_of(self.model)
        with self.start.restored():
            set_memories(self.model, replaced_tensors(self.before, state))
            try:
                yield
            finally:
                set_memories(self.model, memories)


class Recomputed(torch.autograd.Function):
    """x [k,N,…], the state before and the parameters → the tensors of a chunk's outputs and of the state after it."""

    @staticmethod
    def forward(ctx: Any, chunk: ChunkOfTime, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the chunk; autograd records nothing in here."""
        ctx.chunk = chunk
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *chunk.state)
        return chunk.tensors(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Run the chunk again, with a graph, and go back through it."""
        chunk: ChunkOfTime = ctx.chunk
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        inputs = [each.detach().requires_grad_(each.requires_grad) for each in saved]
        with torch.enable_grad(), chunk.begun_again(inputs[1:]):
            outputs = chunk.tensors(inputs[0])
        chunk.results = None
        pairs = [(y, g) for y, g in zip(outputs, gradients, strict=True) if g is not None and y.requires_grad]
        wanted = [each for each in (*inputs, *chunk.parameters) if each.requires_grad]
        if not pairs:
            return (None,) * (1 + len(inputs) + len(chunk.parameters))
        used, g_used = zip(*pairs, strict=True)
        g_wanted = iter(torch.autograd.grad(used, wanted, g_used, allow_unused=True))
        return None, *(next(g_wanted) if each.requires_grad else None for each in (*inputs, *chunk.parameters))


def memories_of(model: nn.Module) -> list[dict[str, Any]]:
    """Return the memories of every module, by name; empty for one that has none."""
    # private to SpikingJelly 2.0.0, where it keeps them; its public named_memories searches through the names
    return [dict(getattr(module, "_memories", {})) for module in model.modules()]


def set_memories(model: nn.Module, memories: list[dict[str, Any]]) -> None:
    """Give every module its memories."""
    for module, values in zip(model.modules(), memories, strict=True):
        if values:
            module._memories.update(values)  # type: ignore[operator, union-attr]


def tensors_of(tree: Any) -> list[Tensor]:
    """Return the tensors of nested lists, tuples and dicts, in order."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def replaced_tensors(tree: Any, tensors: Iterable[Tensor]) -> Any:
    """Return nested lists, tuples and dicts with these tensors, in order, in place of their own."""
    fresh = iter(tensors)
    return pytree.tree_map(lambda leaf: next(fresh) if isinstance(leaf, Tensor) else leaf, tree)


def is_recomputing() -> bool:
    """Return whether this forward pass is one that the backward pass runs again."""
    return torch._C._current_graph_task_id() != -1  # private to torch 2.11.0: it has no public name


def behind_stem(model: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor]:
    """Run the layers that compute the same at all timesteps once → the other layers, and their input [1,N,…].

    They are the first ones of a sequence, if x is repeated: if its first stride is 0. Batch norms are not among them,
    because in single-step training each timestep updates their statistics. If x is not repeated, the whole model and x.
    """
    if x.stride(0) != 0:
        return model, x
    x = x[:1]
    if "forward" in vars(model) or type(model).forward is not nn.Sequential.forward or has_own_hooks(model):
        return model, x
    children = list(model.children())
    stem = list(takewhile(computes_once, children))
    for layer in stem:
        x = layer(x) if layer.step_mode == "m" else layer(x[0])[None]
    rest = copy.copy(model)  # with all that fast paths have noted on it
    behind = list(model._modules.items())[len(stem) :]  # private to torch 2.11.0: no public name replaces it
    rest._modules = dict(behind)
    return rest, x


def computes_once(layer: nn.Module) -> bool:
    """Return whether a layer computes the same from the same input at every timestep, and nobody listens to it."""
    return type(layer) in WITHOUT_MEMORY and not isinstance(layer, BATCH_NORM) and not has_own_hooks(layer)
