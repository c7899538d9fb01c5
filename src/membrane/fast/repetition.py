"""Views [T,N,…] that repeat [N,…] over time, and know what they repeat.

A layer behind that takes ``x[0]`` would have a gradient of T timesteps, all zero but one, which is then summed over
time. What is repeated has one timestep from the start.
"""

import torch
from torch import Tensor


def repeat_once(once: Tensor, steps: int) -> Tensor:
    """Repeat [N,…] over time, without a copy → [T,N,…]."""
    view = once.unsqueeze(0).expand(steps, *once.shape)
    if not torch.compiler.is_compiling():
        view.repeated = once  # type: ignore[attr-defined]
    return view


def repeated(x: Tensor) -> Tensor | None:
    """Return what x [T,N,…] repeats, if it comes from `repeat_once` and nobody asks for a gradient of x, else None."""
    # private to torch 2.11.0, which has no public name for the hooks of a tensor
    return None if x.retains_grad or x._backward_hooks else getattr(x, "repeated", None)
