"""The parts that networks after ResNet share: the number of blocks for each depth, and the first layers."""

from spikingjelly.activation_based import layer
from torch import nn

STAGES = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
"""Depth → number of blocks in each of the four stages (He et al. 2016, arXiv:1512.03385, table 1)."""
BOTTLENECK = 50
"""From this depth up blocks are bottlenecks, below it basic blocks."""


def make_stem(channels: int, stem: str) -> tuple[nn.Module, nn.Module]:
    """Build the stem […,C,H,W] → […,64,H',W']: its convolution, and the pool that follows its neuron.

    ``imagenet`` divides the size by four: 7×7 with stride 2, then a 3×3 max pool with stride 2 (He et al. 2016, table
    1). ``cifar`` keeps it: 3×3, no pool (the same, section 4.2).
    """
    if stem == "imagenet":
        conv, pool = layer.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False), layer.MaxPool2d(3, 2, 1)
    else:
        conv, pool = layer.Conv2d(channels, 64, 3, padding=1, bias=False), nn.Identity()
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv, pool
