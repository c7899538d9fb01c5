"""Small spiking networks, for tests."""

import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn


def convolutional() -> nn.Sequential:
    """Two LIF layers of different size behind batch norm."""
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1),
        layer.BatchNorm2d(4),
        neuron.LIFNode(v_threshold=0.1),
        layer.Flatten(),
        layer.Linear(4 * 25, 7),
        neuron.LIFNode(v_threshold=0.05, v_reset=None),
    )
    return net.eval()
