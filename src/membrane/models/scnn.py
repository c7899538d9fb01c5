"""The spiking convolutional network, 1-D and 2-D."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from spikingjelly.activation_based import layer
from torch import nn

from membrane.models.geometry import checked_shape, per_layer, slid
from membrane.models.pooling import GlobalSumPool

KINDS = {
    1: {"conv": layer.Conv1d, "norm": layer.BatchNorm1d, "max": layer.MaxPool1d, "avg": layer.AvgPool1d},
    2: {"conv": layer.Conv2d, "norm": layer.BatchNorm2d, "max": layer.MaxPool2d, "avg": layer.AvgPool2d},
}

Each = int | Sequence[int]


class SCNN(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → convolutions → linear layers, or global sum pooling → [N,K] or [T,N,K].

    ``prepool`` (average) → for each of ``filters``: conv (a bias only without batch norm) → batch norm → neuron →
    dropout → max pool → ``postpool`` (average) → flatten → [linear → neuron → dropout] for each of ``fc_units`` →
    linear. With ``gsp`` the end is a 1×1 conv with bias → neuron → sum over all positions. A ``separables`` layer is
    depthwise conv → batch norm → neuron → pointwise conv → batch norm → neuron.

    A setting of a layer is one value for all layers or a list with one entry a layer. ConfigError for lists of other
    lengths and for windows larger than their input.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        filters: Sequence[int],
        kernel_sizes: Each = 3,
        paddings: Each = 1,
        strides: Each = 1,
        pool_sizes: Each = 2,
        dropouts: float | Sequence[float] = 0.0,
        separables: bool | Sequence[bool] = False,
        batch_norm: bool = True,
        fc_units: Sequence[int] = (),
        fc_dropouts: float | Sequence[float] = 0.0,
        gsp: bool = False,
        prepool: int = 1,
        postpool: int = 1,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.size = checked_shape(input_shape, dims)
        self.kinds, self.neuron, self.batch_norm = KINDS[len(self.size)], neuron, batch_norm
        self.pool("prepool", "avg", prepool)
        layers = per_layer(
            len(filters),
            filters=filters,
            kernel_sizes=kernel_sizes,
            paddings=paddings,
            strides=strides,
            pool_sizes=pool_sizes,
            dropouts=dropouts,
            separables=separables,
        )
        for number, (width, kernel, padding, stride, pool_size, dropout, separable) in enumerate(layers, start=1):
            window = {"kernel_size": kernel, "padding": padding, "stride": stride}
            self.convolution(number, width, window, separable)
            self.drop(f"dropout{number}", dropout)
            self.pool(f"pool{number}", "max", pool_size)
        self.pool("postpool", "avg", postpool)
        if gsp:
            self.add_module("head", self.kinds["conv"](self.channels, classes, 1))
            self.add_module("head_neuron", neuron())
            self.add_module("sum", GlobalSumPool(len(self.size)))
        else:
            self.linear(per_layer(len(fc_units), fc_units=fc_units, fc_dropouts=fc_dropouts), classes)

    def convolution(self, number: int, width: int, window: dict[str, int], separable: bool) -> None:
        """conv → norm → neuron, or depthwise conv → norm → neuron → pointwise conv → norm → neuron."""
        name = f"conv{number}"
        size = slid(name, self.size, window["kernel_size"], window["stride"], window["padding"])
        if separable:
            self.block(f"depthwise{number}", f"{number}a", self.channels, groups=self.channels, **window)
            self.block(f"pointwise{number}", f"{number}", width, kernel_size=1)
        else:
            self.block(name, f"{number}", width, **window)
        self.size = size

    def block(self, name: str, suffix: str, width: int, **settings: Any) -> None:
        """conv → norm → neuron."""
        self.add_module(name, self.kinds["conv"](self.channels, width, bias=not self.batch_norm, **settings))
        if self.batch_norm:
            self.add_module(f"norm{suffix}", self.kinds["norm"](width))
        self.add_module(f"neuron{suffix}", self.neuron())
        self.channels = width

    def drop(self, name: str, probability: float) -> None:
        """A dropout whose mask stays for all timesteps, where there is any."""
        if probability > 0:
            self.add_module(name, layer.Dropout(probability))

    def pool(self, name: str, kind: str, size: int) -> None:
        """A pool of ``size`` × ``size``, where there is any."""
        if size > 1:
            self.size = slid(name, self.size, size, size)
            self.add_module(name, self.kinds[kind](size))

    def linear(self, layers: list[tuple[int, float]], classes: int) -> None:
        """flatten → [linear → neuron → dropout] for each layer → linear."""
        self.add_module("flatten", layer.Flatten())
        inputs = self.channels * prod(self.size)
        for number, (width, dropout) in enumerate(layers, start=1):
            self.add_module(f"fc{number}", layer.Linear(inputs, width))
            self.add_module(f"fc_neuron{number}", self.neuron())
            self.drop(f"fc_dropout{number}", dropout)
            inputs = width
        self.add_module("head", layer.Linear(inputs, classes))
