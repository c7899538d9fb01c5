"""The spiking residual network whose blocks shrink by strided convolutions, for 1-D and 2-D data."""

from collections.abc import Callable, Sequence

from torch import nn

from membrane.models.geometry import Extent, channels_and_size, require_one_of, shrinks, stem_and_groups
from membrane.models.residual import Builder, GroupPlan, LayerPlan, residual_net


class SResNetStride(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → average pool → stem → groups of basic blocks → head → [N,K] or [T,N,K].

    The stem is conv (with its stride) → norm → max pool → neuron. A block's main path is conv (with the stride) →
    norm → max pool → neuron → conv → norm → neuron. Its shortcut is 1×1 conv (with the stride) → norm → max pool →
    neuron if the channels change or it must project, else the identity, max-pooled by the stride and then by the pool.
    The paths are added with no neuron after, so a block puts out 0, 1, 2 … Convolutions but the head's have a bias only
    without a norm.

    Sizes are in pixels, or samples of a signal. Settings of layers are lists: an entry for the stem and one for each
    group, or one value for all; a group's stride is that of its first block, the others have 1. A kernel, padding,
    stride or pool may differ between axes: an entry is then a list, [height, width].

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        filters: channels of the stem and of each group; its length less one is the number of groups.
        kernel_sizes, paddings: of the convolutions; 3 and 1, the defaults, keep the size. In a group a kernel must
            be 2·padding + 1, so that both paths of a block end in one size.
        strides: of the stem's convolution and of each group's; 1 by default.
        pool_sizes: of the max pools, which is their stride too; 1, the default, is no module.
        pool_every_block: pool in every block of a group, as ``conf/model/sresnet_stride.yaml`` has it. Off, the
            default of configurations from before there was a choice, pools in the first block of a group alone.
        num_blocks: basic blocks of each group, one entry for each group or one value for all; 1 by default.
        force_projection_with_stride: project the shortcut if the stride is not 1, too, as the same file has it; off
            by default.
        force_projection_with_pooling: project the shortcut if the pool is not 1, too; off by default.
        prepool: of an average pool before the stem; 1, the default, is no module.
        postpool: head. ``avg`` (the default) or ``max`` is global pool → flatten → linear, ``sum`` is 1×1 conv with
            bias → neuron → sum over all positions.
        norm: one of `norms`; ``batch`` by default.
        neuron_after_sum: put one neuron behind the sum in place of those that end the two paths, as the formal ResNet
            has its ReLU; off by default. Names and shapes of the parameters stay.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        filters: Sequence[int],
        kernel_sizes: int | Sequence[Extent] = 3,
        strides: int | Sequence[Extent] = 1,
        paddings: int | Sequence[Extent] = 1,
        pool_sizes: int | Sequence[Extent] = 1,
        pool_every_block: bool = False,
        num_blocks: int | Sequence[int] = 1,
        force_projection_with_stride: bool = False,
        force_projection_with_pooling: bool = False,
        prepool: Extent = 1,
        postpool: str = "avg",
        norm: str = "batch",
        neuron_after_sum: bool = False,
        dims: int | None = None,
    ) -> None:
        channels, size = channels_and_size(input_shape, dims)
        require_one_of(("max", "avg", "sum"), postpool=postpool)
        windows = {"kernel_sizes": kernel_sizes, "strides": strides, "paddings": paddings, "pool_sizes": pool_sizes}
        stem, groups = stem_and_groups(filters, num_blocks, **windows)

        def plan(count: int, first: LayerPlan) -> GroupPlan:
            by_stride = force_projection_with_stride and shrinks(first.stride)
            by_pool = force_projection_with_pooling and shrinks(first.pool)
            later_pool = first.pool if pool_every_block else 1
            return GroupPlan(first, count, by_stride or by_pool, later_pool, pool_every_block and by_pool)

        super().__init__(
            residual_net(
                Builder(len(size), norm, timesteps, neuron, neuron_after_sum),
                channels,
                size,
                LayerPlan(*stem),
                [plan(count, LayerPlan(*settings)) for count, settings in groups],
                classes=classes,
                prepool=prepool,
                postpool=postpool,
            )
        )
