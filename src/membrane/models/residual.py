"""Basic blocks of residual networks, and the network around them. `sresnet` and `sresnet_stride` shrink differently."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.models.geometry import Extent, as_window, extent_text, require_at_least, shrinks, window_positions
from membrane.models.norms import make_norm
from membrane.models.scnn import AVERAGE_POOL, CONVOLUTION, MAX_POOL, sum_head

BRANCH = 1 / sqrt(2)
"""tdBN's α for the last norm of each path of a block: the sum of both then has the variance of one."""


class Add(nn.Module):
    """[…] and […] of one shape → […], their sum in either step mode: 0, 1 or 2 where both are spikes."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Add […] and […] → […]."""
        return x + y


class BasicBlock(nn.Module):
    """[…,C,…] → […,F,…]: main path + shortcut, with no neuron after."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main = main
        self.shortcut = shortcut
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """Add main path and shortcut of […,C,…] → […,F,…]."""
        summed: Tensor = self.add(self.main(x), self.shortcut(x))
        return summed


class FormalBlock(BasicBlock):
    """[…,C,…] → […,F,…]: main path + shortcut, both without a neuron at their end, then a neuron.

    With ReLU the block of He et al. 2016, arXiv:1512.03385; with spikes that of the Spiking ResNet in Fang et al. 2021,
    arXiv:2102.04159.
    """

    def __init__(self, main: nn.Module, shortcut: nn.Module, neuron: nn.Module) -> None:
        super().__init__(main, shortcut)
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        """Add main path and shortcut of […,C,…] and let the neuron fire → […,F,…]."""
        fired: Tensor = self.neuron(super().forward(x))
        return fired


@dataclass(frozen=True)
class LayerPlan:
    """conv → norm → max pool → neuron, before it is built; a pool of 1 is no module."""

    filters: int
    kernel: Extent
    stride: Extent
    padding: Extent
    pool: Extent = 1

    def size_after(self, name: str, size: Sequence[int], number: str = "") -> list[int]:
        """Return the size behind the layer. Raises ConfigError if it does not fit into ``size``."""
        require_at_least(1, filters=self.filters)
        convolved = window_positions(f"{name}.conv{number}", size, self.kernel, self.stride, self.padding)
        return window_positions(f"{name}.pool{number}", convolved, self.pool, self.pool)


@dataclass(frozen=True)
class BlockPlan:
    """A basic block before it is built.

    ``channels`` are the input's; ``layer`` is the first of the main path, the second has neither stride nor pool;
    ``projects`` gives the shortcut a convolution, which it needs in any case if the channels change.
    """

    name: str
    channels: int
    layer: LayerPlan
    projects: bool

    @property
    def second(self) -> LayerPlan:
        """Return the second layer of the main path."""
        return replace(self.layer, stride=1, pool=1)

    @property
    def projection(self) -> LayerPlan:
        """Return the layer of a shortcut that projects."""
        return replace(self.layer, kernel=1, padding=0)

    def size_after(self, size: Sequence[int]) -> list[int]:
        """Return the size behind the block.

        Raises ConfigError if a layer does not fit into its input, or if the paths end in different sizes.
        """
        main = self.second.size_after(self.name, self.layer.size_after(self.name, size, "1"), "2")
        # The identity is pooled to the size that a 1×1 convolution with the stride has: ⌈s / stride⌉
        shortcut = self.projection.size_after(f"{self.name}.shortcut", size)
        if main != shortcut:
            sizes = " and ".join(map(extent_text, (main, shortcut)))
            raise ConfigError(
                f"{self.name} cannot add its paths of sizes {sizes}: kernel_sizes must be 2·paddings + 1, "
                f"got {extent_text(self.layer.kernel)} and a padding of {extent_text(self.layer.padding)}"
            )
        return main


@dataclass(frozen=True)
class GroupPlan:
    """A group of basic blocks before it is built.

    ``first`` is the first layer of the first block, ``projects`` forces a projection there; ``later_pool`` and
    ``later_projects`` are the pool and the projection of the blocks after it, which have no stride.
    """

    first: LayerPlan
    blocks: int
    projects: bool
    later_pool: Extent = 1
    later_projects: bool = False

    def plan(self, number: int, channels: int) -> list[BlockPlan]:
        """Plan the blocks of group ``number``, whose input has so many channels."""
        require_at_least(1, num_blocks=self.blocks)
        name, later = f"group{number}.block", replace(self.first, stride=1, pool=self.later_pool)
        shrinking = BlockPlan(f"{name}1", channels, self.first, self.projects or self.first.filters != channels)
        numbers = range(2, self.blocks + 1)
        return [shrinking, *(BlockPlan(f"{name}{n}", later.filters, later, self.later_projects) for n in numbers)]


def plan_blocks(groups: Sequence[GroupPlan], channels: int) -> list[list[BlockPlan]]:
    """Plan the blocks of each group behind a stem of so many channels."""
    inputs = [channels, *(group.first.filters for group in groups)]
    return [group.plan(number, inputs[number - 1]) for number, group in enumerate(groups, start=1)]


@dataclass(frozen=True)
class Builder:
    """Builds the layers, blocks and head of a network from what all of them have in common."""

    dims: int
    norm: str
    timesteps: int
    neuron: Callable[[], nn.Module]
    neuron_after_sum: bool = False

    def layer(
        self, channels: int, settings: LayerPlan, number: str = "", *, ends_path: bool = False
    ) -> dict[str, nn.Module]:
        """Build conv → norm → max pool → neuron, by name; the convolution has a bias only without a norm.

        A layer that ends a path of a block has no neuron if it is to follow the sum.
        """
        neuron = None if ends_path and self.neuron_after_sum else self.neuron()
        window, alpha = (settings.kernel, settings.stride, settings.padding), BRANCH if ends_path else 1.0
        threshold = getattr(self.neuron, "v_threshold", 1.0)  # a factory of activations has none
        modules = {
            "conv": CONVOLUTION[self.dims - 1](channels, settings.filters, *window, bias=self.norm == "none"),
            "norm": make_norm(self.norm, self.dims, settings.filters, self.timesteps, threshold, alpha),
            "pool": MAX_POOL[self.dims - 1](settings.pool) if shrinks(settings.pool) else None,
            "neuron": neuron,
        }
        return {f"{name}{number}": module for name, module in modules.items() if module is not None}

    def block(self, plan: BlockPlan) -> BasicBlock:
        """Build a basic block."""
        first, second = plan.layer, plan.second
        main = self.layer(plan.channels, first, "1") | self.layer(first.filters, second, "2", ends_path=True)
        if plan.projects:
            shortcut = self.layer(plan.channels, plan.projection, ends_path=True)
        else:
            # rounded up, as a strided convolution does with an odd size
            pools = {"downsample": (first.stride, True), "pool": (first.pool, False)}
            max_pool = MAX_POOL[self.dims - 1]
            shortcut = {name: max_pool(size, ceil_mode=up) for name, (size, up) in pools.items() if shrinks(size)}
        paths = named_sequence(main), named_sequence(shortcut) if shortcut else nn.Identity()
        return FormalBlock(*paths, self.neuron()) if self.neuron_after_sum else BasicBlock(*paths)

    def head(
        self, postpool: str, channels: int, size: Sequence[int], classes: int, fc_units: int | None
    ) -> dict[str, nn.Module]:
        """Build global pool → flatten → [linear → neuron] → linear; for ``sum`` the head of `sum_head`."""
        if postpool == "sum":
            return {
                name: module for name, module in sum_head(channels, self.dims, self.neuron, classes).items() if module
            }
        pool = (MAX_POOL if postpool == "max" else AVERAGE_POOL)[self.dims - 1]
        modules: dict[str, nn.Module] = {"postpool": pool(tuple(size)), "flatten": layer.Flatten()}
        if fc_units is not None:
            modules |= {"fc": layer.Linear(channels, fc_units), "fc_neuron": self.neuron()}
        return modules | {"head": layer.Linear(fc_units or channels, classes)}


def residual_net(
    builder: Builder,
    channels: int,
    size: list[int],
    stem: LayerPlan,
    groups: Sequence[GroupPlan],
    *,
    classes: int,
    prepool: Extent,
    postpool: str,
    fc_units: int | None = None,
) -> "OrderedDict[str, nn.Module]":
    """Build average pool → stem → groups of blocks → head, by name in order.

    Raises ConfigError, before a module is built, if a layer does not fit into its input.

    Arguments:
        builder: of all layers.
        channels, size: C and [S] or [H,W] of the input.
        stem: the first layer.
        groups: of basic blocks.
        classes: K, the number of outputs.
        prepool: size of the average pool; 1 is no module.
        postpool: head, ``avg``, ``max`` or ``sum``.
        fc_units: neurons of a hidden linear layer of the head; None is no layer.
    """
    require_at_least(1, classes=classes)
    size = stem.size_after("stem", window_positions("prepool", size, prepool, prepool))
    planned = plan_blocks(groups, stem.filters)
    for block in (block for group in planned for block in group):
        size = block.size_after(size)
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    if shrinks(prepool):
        modules["prepool"] = AVERAGE_POOL[builder.dims - 1](as_window(prepool))
    modules["stem"] = named_sequence(builder.layer(channels, stem))
    for number, group in enumerate(planned, start=1):
        blocks = {f"block{n}": builder.block(block) for n, block in enumerate(group, start=1)}
        modules[f"group{number}"] = named_sequence(blocks)
    last = groups[-1].first if groups else stem
    modules.update(builder.head(postpool, last.filters, size, classes, fc_units))
    return modules


def named_sequence(modules: Mapping[str, nn.Module]) -> nn.Sequential:
    """Chain named modules."""
    return nn.Sequential(OrderedDict(modules))
