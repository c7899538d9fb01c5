"""Recurrent layers: a neuron whose last output comes back as input, by one parameter of smlp and scnn.

| `recurrent=` | the neuron receives at t | |
|---|---|---|
| none | x[t] | |
| elementwise | x[t] + y[t−1] | nothing is learned |
| linear | W·(x[t], y[t−1]) + b | over the features; of an image, over the channels of each position |

y[t−1] is the layer's own output one timestep before, 0 at the start. The containers step their neuron one timestep at
a time in either step mode, so that all four frameworks compute the same.
"""

from operator import add

import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.errors import ConfigError

RECURRENT = ("none", "elementwise", "linear")
POINTWISE = (nn.Conv1d, nn.Conv2d)


def make_recurrent(kind: str, neuron: nn.Module, dims: int, features: int) -> nn.Module:
    """A neuron for [N,F] (``dims`` 0), [N,F,S] (1) or [N,F,H,W] (2), in its recurrent container. ConfigError."""
    if kind not in RECURRENT:
        raise ConfigError(f"recurrent must be one of {', '.join(RECURRENT)}, got {kind!r}")
    if kind == "none":
        return neuron
    made: nn.Module
    if kind == "elementwise":
        made = layer.ElementWiseRecurrentContainer(neuron, add)
    elif dims == 0:
        made = layer.LinearRecurrentContainer(neuron, features, features)
    else:
        made = layer.ElementWiseRecurrentContainer(neuron, ChannelFeedback(dims, features))
    return made


class ChannelFeedback(nn.Module):
    """y [N,C,…], x [N,C,…] → [N,C,…]: a 1×1 convolution over the channels of both, the linear feedback of an image."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.rc = POINTWISE[dims - 1](2 * channels, channels, 1)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """y [N,C,…], x [N,C,…] → [N,C,…]."""
        mixed: Tensor = self.rc(torch.cat((x, y), dim=1))
        return mixed
