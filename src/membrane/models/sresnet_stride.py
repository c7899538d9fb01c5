"""The spiking residual network whose blocks shrink by strided convolutions, for 1-D and 2-D data."""

from collections.abc import Callable, Sequence

from torch import nn

from membrane.models.geometry import checked_shape, one_of, stem_and_groups
from membrane.models.residual import Builder, Layer, residual_net


class SResNetStride(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → average pool → stem → groups of basic blocks → head → [N,K] or [T,N,K].

    The stem is conv (with its stride) → norm → max pool → neuron. A block's main path is conv (with the stride) →
    norm → max pool → neuron → conv → norm → neuron. Its shortcut is the identity, max-pooled by the stride and then by
    the pool, or 1×1 conv (with the stride) → norm → max pool → neuron: where the channels change, and with
    ``force_projection_with_stride`` (``…_pooling``) where the stride (pool) is not 1. They are added with no neuron
    after, so a block puts out 0, 1, 2 … The head is global ``max`` or ``avg`` pool → flatten → linear, or for a
    ``postpool`` of ``sum`` 1×1 conv with bias → neuron → sum over all positions. Other convolutions have a bias only
    without a norm.

    ``filters``, ``kernel_sizes``, ``strides``, ``paddings`` and ``pool_sizes`` (1: none) are lists with one entry for
    the stem and one a group (or one value for all); ``num_blocks`` has one a group. Stride and pool are those of a
    group's first block. ``neuron`` builds a fresh neuron at every call; ``timesteps`` is for norms that know time.
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
        pool_sizes: int | Sequence[int] = 1,
        num_blocks: int | Sequence[int] = 1,
        force_projection_with_stride: bool = False,
        force_projection_with_pooling: bool = False,
        prepool: int = 1,
        postpool: str = "avg",
        norm: str = "batch",
        dims: int | None = None,
    ) -> None:
        channels, size = checked_shape(input_shape, dims)
        one_of(("max", "avg", "sum"), postpool=postpool)
        windows = {"kernel_sizes": kernel_sizes, "strides": strides, "paddings": paddings, "pool_sizes": pool_sizes}
        stem, groups = stem_and_groups(filters, num_blocks, **windows)

        def forced(one: Layer) -> bool:
            by_stride = force_projection_with_stride and one.stride != 1
            return by_stride or (force_projection_with_pooling and one.pool != 1)

        super().__init__(
            residual_net(
                Builder(len(size), norm, timesteps, neuron),
                channels,
                size,
                Layer(*stem),
                [(Layer(*settings), count, forced(Layer(*settings))) for count, settings in groups],
                classes=classes,
                prepool=prepool,
                postpool=postpool,
            )
        )
