"""A peer's net, and the sequence of layers that all peers share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from membrane.bench.workloads import Workload


def unchanged(x: Tensor) -> Tensor:
    """Return x."""
    return x


@dataclass(frozen=True)
class Net:
    """``forward(x)``: x [N,…] or [N,T,…] → outputs [T,N,…], from a fresh state; ``arrange(x)`` once, untimed."""

    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    arrange: Callable[[Tensor], Tensor] = unchanged


@dataclass(frozen=True)
class Kit:
    """The layers of a library; convolutions, norms and pools by the number of dimensions: [1-D, 2-D]."""

    conv: tuple[type[nn.Module], type[nn.Module]]
    norm: tuple[type[nn.Module], type[nn.Module]]
    pool: tuple[type[nn.Module], type[nn.Module]]
    linear: type[nn.Module]
    flatten: type[nn.Module]
    neuron: Callable[[], nn.Module]


TORCH = (
    (nn.Conv1d, nn.Conv2d),
    (nn.BatchNorm1d, nn.BatchNorm2d),
    (nn.MaxPool1d, nn.MaxPool2d),
    nn.Linear,
    nn.Flatten,
)
"""torch's layers, for libraries that only have neurons."""
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Linear)


def net_layers(workload: Workload, kit: Kit) -> Iterator[nn.Module]:
    """Yield the workload's layers in order."""
    dims, channels = len(workload.shape) - 2, workload.shape[0]
    for filters, pool in zip(workload.filters, workload.pools, strict=True):
        yield kit.conv[dims](channels, filters, 3, stride=workload.stride, padding=1, bias=False)
        yield kit.norm[dims](filters)
        yield kit.neuron()
        if pool > 1:
            yield kit.pool[dims](pool)
        channels = filters
    if not workload.classes:
        yield kit.neuron()
        return
    yield kit.flatten()
    width = workload.features()
    for units in workload.units:
        yield kit.linear(width, units)
        yield kit.neuron()
        width = units
    yield kit.linear(width, workload.classes)


def weighted_layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers that have weights, in order: libraries name them differently."""
    return [each for each in module.modules() if isinstance(each, WEIGHTED)]


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy weights and statistics from one net to another. Raises ValueError if their layers differ."""
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in (source, target)]
    theirs, ours = weighted_layers(source), weighted_layers(target)
    if len(theirs) != len(ours) or counts[0] != counts[1]:
        raise ValueError(
            f"not the same net: {len(ours)} layers of {counts[1]} parameters, not {len(theirs)} of {counts[0]}"
        )
    for each, other in zip(ours, theirs, strict=True):
        each.load_state_dict(other.state_dict())
