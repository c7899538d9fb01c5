"""The state that neurons and other layers carry from timestep to timestep."""

from spikingjelly.activation_based import base
from torch import Tensor, nn


def detach_state(model: nn.Module) -> None:
    """Cut the graph behind the state of every layer: no gradient flows through it to earlier timesteps.

    State is what SpikingJelly's modules register as memory, and the attributes of others that have a ``reset``.
    SpikingJelly's ``functional.detach_net`` leaves queues as they are, and detaches in place: a recurrent layer's last
    output, which is state too, would then have no gradient.
    """
    for module in model.modules():
        if isinstance(module, base.MemoryModule):
            state = dict(module.named_memories())
        else:
            state = dict(vars(module)) if callable(getattr(module, "reset", None)) else {}
        for name, value in state.items():
            if isinstance(value, Tensor | list):
                setattr(module, name, detached(value))


def detached(value: object) -> object:
    """Return a state, a tensor or a list of such, without its graph."""
    if isinstance(value, list):
        return [detached(each) for each in value]
    return value.detach() if isinstance(value, Tensor) else value
