"""Basic blocks of residual networks, and the network around them; its templates differ in how a block shrinks."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.models.geometry import at_least, slid
from membrane.models.norms import make_norm
from membrane.models.scnn import AVERAGE_POOL, CONVOLUTION, MAX_POOL, sum_head

BRANCH = 1 / sqrt(2)
"""tdBN's α of a branch that another is added to, so that their sum has the variance of one."""


class Add(nn.Module):
    """[…] and […] of one shape → […], their sum in either step mode: 0, 1 or 2 where both are spikes."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """[…] and […] → […]."""
        return x + y


class BasicBlock(nn.Module):
    """[…,C,…] → […,F,…]: main path + shortcut, with no neuron after."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """[…,C,…] → […,F,…]."""
        summed: Tensor = self.add(self.main(x), self.shortcut(x))
        return summed


@dataclass(frozen=True)
class Layer:
    """conv → norm → max pool → neuron, before it is built; a pool of 1 is none."""

    filters: int
    kernel: int
    stride: int
    padding: int
    pool: int = 1

    def size_after(self, name: str, size: Sequence[int], number: str = "") -> list[int]:
        """What it leaves of ``size``; ConfigError where it does not fit."""
        at_least(1, filters=self.filters)
        convolved = slid(f"{name}.conv{number}", size, self.kernel, self.stride, self.padding)
        return slid(f"{name}.pool{number}", convolved, self.pool, self.pool)


@dataclass(frozen=True)
class Block:
    """A basic block before it is built: ``layer`` is the first of its main path, the second has neither stride nor
    pool. ``projects``: the shortcut has a convolution, which it needs in any case where the channels change."""

    name: str
    channels: int
    layer: Layer
    projects: bool

    @property
    def second(self) -> Layer:
        """The second layer of the main path."""
        return replace(self.layer, stride=1, pool=1)

    @property
    def projection(self) -> Layer:
        """The layer of a shortcut that projects."""
        return replace(self.layer, kernel=1, padding=0)

    def size_after(self, size: Sequence[int]) -> list[int]:
        """What the block leaves of ``size``; ConfigError where a layer does not fit or the paths end in two sizes."""
        main = self.second.size_after(self.name, self.layer.size_after(self.name, size, "1"), "2")
        # The identity is pooled to the size that a 1×1 convolution with the stride has: ⌈s / stride⌉
        shortcut = self.projection.size_after(f"{self.name}.shortcut", size)
        if main != shortcut:
            sizes = " and ".join("×".join(map(str, each)) for each in (main, shortcut))
            raise ConfigError(
                f"{self.name} cannot add its paths of sizes {sizes}: kernel_sizes must be 2·paddings + 1, "
                f"got {self.layer.kernel} and a padding of {self.layer.padding}"
            )
        return main


def blocks(groups: Sequence[tuple[Layer, int, bool]], channels: int) -> list[list[Block]]:
    """The blocks of each group: its first takes the group's stride and pool, and projects if it is forced to."""
    planned = []
    for number, (first, count, forced) in enumerate(groups, start=1):
        at_least(1, num_blocks=count)
        name, later = f"group{number}.block", replace(first, stride=1, pool=1)
        shrinking = Block(f"{name}1", channels, first, forced or first.filters != channels)
        channels = first.filters
        planned.append([shrinking, *(Block(f"{name}{n}", channels, later, False) for n in range(2, count + 1))])
    return planned


@dataclass(frozen=True)
class Builder:
    """What all layers of a network have in common, and with that the layers themselves."""

    dims: int
    norm: str
    timesteps: int
    neuron: Callable[[], nn.Module]

    def layer(self, channels: int, settings: Layer, number: str = "", alpha: float = 1.0) -> dict[str, nn.Module]:
        """conv → norm → max pool → neuron by name, in order; the convolution has a bias only without a norm."""
        neuron, window = self.neuron(), (settings.kernel, settings.stride, settings.padding)
        threshold = getattr(self.neuron, "v_threshold", 1.0)  # a factory of activations has none
        modules = {
            "conv": CONVOLUTION[self.dims - 1](channels, settings.filters, *window, bias=self.norm == "none"),
            "norm": make_norm(self.norm, self.dims, settings.filters, self.timesteps, threshold, alpha),
            "pool": MAX_POOL[self.dims - 1](settings.pool) if settings.pool > 1 else None,
            "neuron": neuron,
        }
        return {f"{name}{number}": module for name, module in modules.items() if module is not None}

    def block(self, plan: Block) -> BasicBlock:
        """A basic block."""
        first, second = plan.layer, plan.second
        main = self.layer(plan.channels, first, "1") | self.layer(first.filters, second, "2", BRANCH)
        if plan.projects:
            shortcut = self.layer(plan.channels, plan.projection, alpha=BRANCH)
        else:
            # rounded up, for that is what a strided convolution leaves of an odd size
            pools = {"downsample": (first.stride, True), "pool": (first.pool, False)}
            max_pool = MAX_POOL[self.dims - 1]
            shortcut = {name: max_pool(size, ceil_mode=up) for name, (size, up) in pools.items() if size > 1}
        return BasicBlock(sequence(main), sequence(shortcut) if shortcut else nn.Identity())

    def head(self, postpool: str, channels: int, size: Sequence[int], classes: int) -> dict[str, nn.Module]:
        """Global pool → flatten → linear; for ``sum`` 1×1 conv with bias → neuron → sum over all positions."""
        if postpool == "sum":
            return {
                name: module for name, module in sum_head(channels, self.dims, self.neuron, classes).items() if module
            }
        pool = (MAX_POOL if postpool == "max" else AVERAGE_POOL)[self.dims - 1]
        return {"postpool": pool(tuple(size)), "flatten": layer.Flatten(), "head": layer.Linear(channels, classes)}


def residual_net(
    builder: Builder,
    channels: int,
    size: list[int],
    stem: Layer,
    groups: Sequence[tuple[Layer, int, bool]],
    *,
    classes: int,
    prepool: int,
    postpool: str,
) -> "OrderedDict[str, nn.Module]":
    """Average pool → stem → groups of blocks → head by name, in order; ``groups``: layer, blocks, forced projection.

    ConfigError, before a module is built, where something does not fit.
    """
    at_least(1, classes=classes)
    size = stem.size_after("stem", slid("prepool", size, prepool, prepool))
    planned = blocks(groups, stem.filters)
    for block in (block for group in planned for block in group):
        size = block.size_after(size)
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    if prepool > 1:
        modules["prepool"] = AVERAGE_POOL[builder.dims - 1](prepool)
    modules["stem"] = sequence(builder.layer(channels, stem))
    for number, group in enumerate(planned, start=1):
        named = {f"block{n}": builder.block(block) for n, block in enumerate(group, start=1)}
        modules[f"group{number}"] = sequence(named)
    last = groups[-1][0] if groups else stem
    modules.update(builder.head(postpool, last.filters, size, classes))
    return modules


def sequence(modules: Mapping[str, nn.Module]) -> nn.Sequential:
    """Named modules, one after the other."""
    return nn.Sequential(OrderedDict(modules))
