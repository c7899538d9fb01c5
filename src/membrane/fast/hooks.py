"""Who listens to a module: fast paths that would call it at other times, or otherwise, leave it as it is."""

from torch import nn


def has_own_hooks(module: nn.Module) -> bool:
    """Return whether a module has hooks of its own."""
    # private to torch 2.11.0, which has no function that lists a module's hooks
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )
