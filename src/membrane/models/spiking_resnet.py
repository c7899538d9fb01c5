"""ResNet with spiking neurons (He et al. 2016, arXiv:1512.03385), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import spiking_resnet
from torch import nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_one_of, variant_for
from membrane.models.resnet import BOTTLENECK, STAGES, make_stem


class SpikingResNet(spiking_resnet.SpikingResNet):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → stem → four stages of blocks → global average pool → linear → [N,K] or [T,N,K].

    Each ReLU of the ResNet is a neuron, the one after the addition included. Every image size fits: the strided layers
    leave at least one pixel. Names and initial weights are torchvision's.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        depth: number of layers with weights: 18, 34, 50, 101 or 152.
        stem: ``imagenet`` divides the image by four, ``cifar`` is a 3×3 convolution without a pool. None, the default,
            takes the first from 64 pixels up.
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
        channels, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        require_one_of(STAGES, depth=depth)
        stem = variant_for(size, stem=stem)
        block = spiking_resnet.Bottleneck if depth >= BOTTLENECK else spiking_resnet.BasicBlock
        super().__init__(block, STAGES[depth], num_classes=classes, spiking_neuron=neuron)
        self.conv1, self.maxpool = make_stem(channels, stem)
