"""Recurrent layers: a neuron receives its last output as an input, by one parameter of smlp and scnn.

| `recurrent=` | the neuron receives at t | |
|---|---|---|
| none | x[t] | |
| elementwise | x[t] + y[t−1] | nothing is learned |
| lateral | x[t] + V·y[t−1] | over the features or channels, but not from a neuron to itself |
| linear | W·(x[t], y[t−1]) + b | over the features; of an image, over the channels of each position |

y[t−1] is the layer's own output one timestep before, 0 at the start. The containers run their neuron one timestep at a
time in both step modes, so that all four frameworks compute the same function.
"""

from operator import add

import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn import functional

from membrane.errors import ConfigError

RECURRENT = ("none", "elementwise", "lateral", "linear")
POINTWISE = (nn.Conv1d, nn.Conv2d)


def make_recurrent(recurrent: str, neuron: nn.Module, dims: int, features: int) -> nn.Module:
    """Put a neuron for [N,F] (``dims`` 0), [N,F,S] (1) or [N,F,H,W] (2) into its recurrent container.

    Raises ConfigError for another name.
    """
    if recurrent not in RECURRENT:
        raise ConfigError(f"recurrent must be one of {', '.join(RECURRENT)}, got {recurrent!r}")
    if recurrent == "none":
        return neuron
    container: nn.Module
    if recurrent == "elementwise":
        container = layer.ElementWiseRecurrentContainer(neuron, add)
    elif recurrent == "lateral":
        container = layer.ElementWiseRecurrentContainer(neuron, Lateral(features))
    elif dims == 0:
        container = layer.LinearRecurrentContainer(neuron, features, features)
    else:
        container = layer.ElementWiseRecurrentContainer(neuron, ChannelFeedback(dims, features))
    return container


class ChannelFeedback(nn.Module):
    """y [N,C,…], x [N,C,…] → [N,C,…]: a 1×1 convolution over the channels of both, the linear feedback of an image."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.rc = POINTWISE[dims - 1](2 * channels, channels, 1)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Mix y [N,C,…] and x [N,C,…] → [N,C,…]."""
        mixed: Tensor = self.rc(torch.cat((x, y), dim=1))
        return mixed


class Lateral(nn.Module):
    """y [N,C,…], x [N,C,…] → x + V·y [N,C,…], V without its diagonal, at first orthogonal (Bittar, Garner 2022)."""

    others: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        nn.init.orthogonal_(self.weight)
        self.register_buffer("others", 1 - torch.eye(channels), persistent=False)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """Add what other channels of y [N,C,…] send to x [N,C,…] → [N,C,…]."""
        return x + functional.linear(y.movedim(1, -1), self.weight * self.others).movedim(-1, 1)
