"""The first layers of the residual networks, for ImageNet's image size and for CIFAR's."""

from spikingjelly.activation_based import layer
from torch import nn


def make_stem(channels: int, kind: str) -> tuple[nn.Module, nn.Module]:
    """[…,C,H,W] → […,64,H',W']: the convolution, and the pool that follows its neuron.

    ``imagenet`` divides the size by four: 7×7 with stride 2, then a 3×3 max pool with stride 2 (He et al. 2016,
    arXiv:1512.03385, table 1). ``cifar`` keeps it: 3×3, no pool (the same, section 4.2).
    """
    if kind == "imagenet":
        conv, pool = layer.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False), layer.MaxPool2d(3, 2, 1)
    else:
        conv, pool = layer.Conv2d(channels, 64, 3, padding=1, bias=False), nn.Identity()
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv, pool
