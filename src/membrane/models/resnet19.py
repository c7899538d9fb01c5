"""ResNet-19, the network of the papers on CIFAR-10 (Zheng et al. 2021, arXiv:2011.05280)."""

from collections.abc import Callable, Sequence

from torch import nn

from membrane.models.geometry import image_channels_and_size, require_at_least
from membrane.models.residual import Builder, GroupPlan, LayerPlan, residual_net

STAGES = ((2, 3, 1), (4, 3, 2), (8, 2, 2))
"""Multiple of the stem's channels, number of blocks, stride of the first one."""


class ResNet19(nn.Sequential):
    """[N,C,H,W] or [T,N,C,H,W] → stem → 3, 3 and 2 blocks → average pool → linear → neuron → linear → [N,K] or [T,N,K].

    The stem is 3×3 conv → norm → neuron. A block is conv → norm → neuron → conv → norm, its shortcut the identity or,
    where channels change, 1×1 conv → norm; a neuron follows their sum. The widths are 128, 256 and 512, the head's
    hidden layer has 256. With ten classes that is 12.63 million parameters, as TET and later papers print.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        channels: of the stem, from which all widths follow; 64, the default, is the paper's.
        norm: one of `norms`; ``tdbn``, the default, is the paper's, with α = 1/√2 before a sum.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        channels: int = 64,
        norm: str = "tdbn",
        dims: int | None = None,
    ) -> None:
        inputs, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, channels=channels)
        groups = [
            GroupPlan(LayerPlan(multiple * channels, 3, stride, 1), blocks, projects=False)
            for multiple, blocks, stride in STAGES
        ]
        super().__init__(
            residual_net(
                Builder(2, norm, timesteps, neuron, neuron_after_sum=True),
                inputs,
                size,
                LayerPlan(channels, 3, 1, 1),
                groups,
                classes=classes,
                prepool=1,
                postpool="avg",
                fc_units=4 * channels,
            )
        )
