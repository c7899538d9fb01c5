"""ResNet with spiking neurons (He et al. 2016, arXiv:1512.03385), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import spiking_resnet
from torch import nn

from membrane.models.geometry import at_least, checked_image, for_size, one_of
from membrane.models.stem import make_stem

PLANS = {
    18: (spiking_resnet.BasicBlock, [2, 2, 2, 2]),
    34: (spiking_resnet.BasicBlock, [3, 4, 6, 3]),
    50: (spiking_resnet.Bottleneck, [3, 4, 6, 3]),
    101: (spiking_resnet.Bottleneck, [3, 4, 23, 3]),
    152: (spiking_resnet.Bottleneck, [3, 8, 36, 3]),
}
"""Depth → block, number of blocks in each of the four stages."""


class SpikingResNet(spiking_resnet.SpikingResNet):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → stem → four stages of blocks → global average pool → linear → [N,K] or [T,N,K].

    Each ReLU of the ResNet is a neuron, the one after the addition too. ``stem=imagenet`` divides the image by four,
    ``cifar`` is a 3×3 convolution without a pool; None takes the first from 64 pixels up. Every image size passes: the
    strided layers leave at least one pixel. Names and initial weights are torchvision's.

    ``neuron`` builds a fresh neuron at every call. ConfigError for what cannot be built.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        depth: int = 18,
        stem: str | None = None,
        dims: int | None = None,
    ) -> None:
        channels, size = checked_image(input_shape, dims)
        at_least(1, classes=classes)
        one_of(PLANS, depth=depth)
        kind = for_size(size, stem=stem)
        super().__init__(*PLANS[depth], num_classes=classes, spiking_neuron=neuron)
        self.conv1, self.maxpool = make_stem(channels, kind)
