"""The spiking residual network whose blocks shrink by pooling, for 1-D and 2-D data."""

from collections.abc import Callable, Sequence

from torch import nn

from membrane.models.geometry import checked_shape, one_of, stem_and_groups
from membrane.models.residual import Builder, Layer, residual_net


class SResNet(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → average pool → stem → groups of basic blocks → global pool → flatten → linear → [N,K] or
    [T,N,K].

    The stem is conv (with its stride) → norm → neuron. A block's main path is conv → norm → max pool(stride) →
    neuron → conv → norm → neuron, its shortcut the max-pooled identity, or where the channels change (or the stride
    is not 1, with ``force_projection_with_stride``) 1×1 conv → norm → max pool(stride) → neuron. They are added with
    no neuron after, so a block puts out 0, 1, 2 … Convolutions have a bias only without a norm.

    ``filters``, ``kernel_sizes``, ``strides`` and ``paddings`` are lists with one entry for the stem and one a group
    (or one value for all); ``num_blocks`` has one a group. The stride is that of a group's first block. ``postpool``
    is ``max`` or ``avg``. ``neuron`` builds a fresh neuron at every call; ``timesteps`` is for norms that know time.
    ConfigError for what cannot be built.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        filters: Sequence[int],
        kernel_sizes: int | Sequence[int] = 3,
        strides: int | Sequence[int] = 1,
        paddings: int | Sequence[int] = 1,
        num_blocks: int | Sequence[int] = 1,
        force_projection_with_stride: bool = False,
        prepool: int = 1,
        postpool: str = "avg",
        norm: str = "batch",
        dims: int | None = None,
    ) -> None:
        channels, size = checked_shape(input_shape, dims)
        one_of(("max", "avg"), postpool=postpool)
        windows = {"kernel_sizes": kernel_sizes, "strides": strides, "paddings": paddings}
        stem, groups = stem_and_groups(filters, num_blocks, **windows)
        super().__init__(
            residual_net(
                Builder(len(size), norm, timesteps, neuron),
                channels,
                size,
                Layer(*stem),
                [
                    (Layer(width, kernel, 1, padding, pool=stride), count, force_projection_with_stride and stride != 1)
                    for count, (width, kernel, stride, padding) in groups
                ],
                classes=classes,
                prepool=prepool,
                postpool=postpool,
            )
        )
