"""The spiking residual network whose blocks shrink by pooling, for 1-D and 2-D data."""

from collections.abc import Callable, Sequence

from torch import nn

from membrane.models.geometry import Extent, channels_and_size, require_one_of, shrinks, stem_and_groups
from membrane.models.residual import Builder, GroupPlan, LayerPlan, residual_net


class SResNet(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → average pool → stem → groups of basic blocks → global pool → linear → [N,K] or [T,N,K].

    The stem is conv (with its stride) → norm → neuron. A block's main path is conv → norm → max pool(stride) →
    neuron → conv → norm → neuron. Its shortcut is the max-pooled identity, or 1×1 conv → norm → max pool(stride) →
    neuron if the channels change. The paths are added with no neuron after, so a block puts out 0, 1, 2 …
    Convolutions have a bias only without a norm.

    Sizes are in pixels, or samples of a signal. Settings of layers are lists: an entry for the stem and one for each
    group, or one value for all; a group's stride is that of its first block, the others have 1. A kernel, padding,
    stride or pool may differ between axes: an entry is then a list, [height, width].

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        filters: channels of the stem and of each group; its length less one is the number of groups.
        kernel_sizes, paddings: of the convolutions; 3 and 1, the defaults, keep the size. In a group a kernel must
            be 2·padding + 1, so that both paths of a block end in one size.
        strides: of the stem's convolution and of each group's max pools; 1 by default.
        num_blocks: basic blocks of each group, one entry for each group or one value for all; 1 by default.
        force_projection_with_stride: project the shortcut if the stride is not 1, too; off by default.
        prepool: of an average pool before the stem; 1, the default, is no module.
        postpool: global pool, ``avg`` (the default) or ``max``.
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
        num_blocks: int | Sequence[int] = 1,
        force_projection_with_stride: bool = False,
        prepool: Extent = 1,
        postpool: str = "avg",
        norm: str = "batch",
        neuron_after_sum: bool = False,
        dims: int | None = None,
    ) -> None:
        channels, size = channels_and_size(input_shape, dims)
        require_one_of(("max", "avg"), postpool=postpool)
        windows = {"kernel_sizes": kernel_sizes, "strides": strides, "paddings": paddings}
        stem, groups = stem_and_groups(filters, num_blocks, **windows)
        super().__init__(
            residual_net(
                Builder(len(size), norm, timesteps, neuron, neuron_after_sum),
                channels,
                size,
                LayerPlan(*stem),
                [
                    GroupPlan(
                        LayerPlan(width, kernel, 1, padding, pool=stride),
                        count,
                        projects=force_projection_with_stride and shrinks(stride),
                    )
                    for count, (width, kernel, stride, padding) in groups
                ],
                classes=classes,
                prepool=prepool,
                postpool=postpool,
            )
        )
