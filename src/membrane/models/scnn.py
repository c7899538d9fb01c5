"""The spiking convolutional network, for 1-D and 2-D data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from spikingjelly.activation_based import layer
from torch import nn

from membrane.errors import ConfigError
from membrane.models.geometry import (
    Extent,
    as_window,
    channels_and_size,
    per_layer,
    require_at_least,
    require_one_of,
    require_probability,
    require_voters,
    shrinks,
    window_positions,
)
from membrane.models.norms import make_norm
from membrane.models.pooling import GlobalSumPool
from membrane.models.recurrence import make_recurrent

# by the number of dimensions: [1-D, 2-D]
CONVOLUTION = (layer.Conv1d, layer.Conv2d)
MAX_POOL = (layer.MaxPool1d, layer.MaxPool2d)
AVERAGE_POOL = (layer.AvgPool1d, layer.AvgPool2d)
POOLS = {"max": MAX_POOL, "avg": AVERAGE_POOL}

BuildNeuron = Callable[[], nn.Module]
Modules = Mapping[str, nn.Module | None]
"""Modules by name, in order; None is no module."""


class SCNN(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → average pool → layers → average pool → head → [N,K] or [T,N,K].

    A layer is conv → norm → neuron → dropout → pool; where it is *separable*, depthwise conv → norm → neuron →
    pointwise conv → norm → neuron take the place of the first three. Convolutions have a bias only without a norm,
    unless ``conv_bias`` says so. The head is flatten → [linear → neuron → dropout] for each of ``fc_units`` → linear.

    Sizes are in pixels, or samples of a signal. A setting of layers is a list with one entry for each layer, or one
    value for all. A kernel, padding, stride or pool may differ between axes: an entry is then a list, [height, width].

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        filters: channels of each layer; its length is the number of layers.
        kernel_sizes, paddings, strides: of each convolution; 3, 1 and 1 keep the size.
        pool_sizes: of each pool, which is its stride too. 2, the default, halves the size; 1 is no module.
        conv_bias: give every convolution a bias, before a norm too; off by default.
        pool: ``max``, the default, or ``avg``, whose outputs lie between 0 and 1.
        pool_first: pool what the convolution puts out, before the norm and the neuron; by default their spikes.
        dropouts: probability behind each layer's neuron; 0, the default, is no module.
        separables: take a depthwise and a pointwise convolution, each with a neuron, in place of one; off by default.
        norm: one of `norms`, before every neuron of a layer. ``batch`` by default: without a norm deep
            networks tend to fall silent.
        recurrent: one of `recurrence`, for the last neuron of every layer, those of ``fc_units`` included.
        fc_units: neurons of each hidden linear layer of the head; none by default.
        fc_dropouts: probability behind each of them.
        fc_bias: of every linear layer, the last one too; on by default.
        head_dropout: probability before the last linear layer; 0, the default, is no module.
        gsp: global sum pooling: the head is 1×1 conv with bias → neuron → sum over all positions, no linear layer.
        head_neuron: put a neuron behind the last linear layer, so that the outputs are spikes.
        votes: neurons of each class behind that layer; an output is their mean. Raises ConfigError above 1 without
            ``head_neuron``.
        prepool, postpool: of an average pool before and behind the layers; 1, the default, is no module.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: BuildNeuron,
        filters: Sequence[int],
        kernel_sizes: int | Sequence[Extent] = 3,
        paddings: int | Sequence[Extent] = 1,
        strides: int | Sequence[Extent] = 1,
        pool_sizes: int | Sequence[Extent] = 2,
        conv_bias: bool = False,
        pool: str = "max",
        pool_first: bool = False,
        dropouts: float | Sequence[float] = 0.0,
        separables: bool | Sequence[bool] = False,
        norm: str = "batch",
        recurrent: str = "none",
        fc_units: Sequence[int] = (),
        fc_dropouts: float | Sequence[float] = 0.0,
        fc_bias: bool = True,
        head_dropout: float = 0.0,
        gsp: bool = False,
        head_neuron: bool = False,
        votes: int = 1,
        prepool: Extent = 1,
        postpool: Extent = 1,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        require_at_least(1, classes=classes)
        require_voters(votes, head_neuron)
        require_one_of(POOLS, pool=pool)
        if gsp:
            require_plain_head(fc_units, head_neuron)
        channels, size = channels_and_size(input_shape, dims)
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
        size = self.add_average_pool("prepool", size, prepool)
        hidden = Hidden(neuron, norm, recurrent, timesteps, len(size), pool, pool_first, conv_bias)
        for number, settings in enumerate(layers, start=1):
            planned = ConvolutionPlan(number, channels, size, *settings)
            channels, size = planned.filters, planned.size_after()
            self.add_all(planned.modules(hidden))
        size = self.add_average_pool("postpool", size, postpool)
        if gsp:
            self.add_all(sum_head(channels, len(size), neuron, classes))
        else:
            linear = per_layer(len(fc_units), fc_units=fc_units, fc_dropouts=fc_dropouts)
            self.add_all(linear_head(channels * prod(size), linear, hidden, classes * votes, fc_bias, head_dropout))
        if head_neuron:
            self.add_module("head_neuron", neuron())
        if votes > 1:
            self.add_module("vote", layer.VotingLayer(votes))

    def add_average_pool(self, name: str, size: list[int], pool: Extent) -> list[int]:
        """Append an average pool and return the size behind it."""
        after = window_positions(name, size, pool, pool)
        if shrinks(pool):
            self.add_module(name, AVERAGE_POOL[len(size) - 1](as_window(pool)))
        return after

    def add_all(self, modules: Modules) -> None:
        """Append modules under their names."""
        for name, module in modules.items():
            if module is not None:
                self.add_module(name, module)


def require_plain_head(fc_units: Sequence[int], head_neuron: bool) -> None:
    """Raise ConfigError for settings of a linear head, which global sum pooling does not have."""
    if fc_units:
        raise ConfigError(f"gsp has no linear layers: fc_units must be [], got {list(fc_units)}")
    if head_neuron:
        raise ConfigError("gsp has a neuron behind its head: leave head_neuron out")


@dataclass(frozen=True)
class Hidden:
    """Builds the norm and the neuron that follow the weights of a hidden layer.

    ``neuron``, ``recurrent``, ``timesteps``, ``pool``, ``pool_first`` and ``conv_bias`` are arguments of `SCNN`, and so
    is ``norm_name``, there ``norm``; ``dims`` is the number of axes of the data.
    """

    neuron: BuildNeuron
    norm_name: str
    recurrent: str
    timesteps: int
    dims: int
    pool: str
    pool_first: bool
    conv_bias: bool

    def norm(self, channels: int) -> nn.Module | None:
        """Build a norm over ``channels``."""
        v_threshold = getattr(self.neuron, "v_threshold", 1.0)
        return make_norm(self.norm_name, self.dims, channels, self.timesteps, v_threshold)

    def last_neuron(self, features: int, dims: int) -> nn.Module:
        """Build the neuron that ends a layer, in its recurrent container if there is to be one."""
        return make_recurrent(self.recurrent, self.neuron(), dims, features)


@dataclass(frozen=True)
class ConvolutionPlan:
    """One convolutional layer for inputs [channels, *size], before it is built.

    ``number`` counts layers from 1 and is part of the modules' names. ``filters``, ``kernel``, ``padding``, ``stride``,
    ``pool``, ``dropout`` and ``separable`` are the layer's entries in the arguments of `SCNN`.
    """

    number: int
    channels: int
    size: list[int]
    filters: int
    kernel: Extent
    padding: Extent
    stride: Extent
    pool: Extent
    dropout: float
    separable: bool

    def size_after(self) -> list[int]:
        """Return the size behind the layer. Raises ConfigError if it does not fit into its input."""
        require_at_least(1, filters=self.filters)
        require_probability(dropouts=self.dropout)
        name = f"depthwise{self.number}" if self.separable else f"conv{self.number}"
        convolved = window_positions(name, self.size, self.kernel, self.stride, self.padding)
        return window_positions(f"pool{self.number}", convolved, self.pool, self.pool)

    def modules(self, hidden: Hidden) -> Modules:
        """Build the layer's modules."""
        n, dims, inputs = self.number, len(self.size), self.channels
        conv, pooling = CONVOLUTION[dims - 1], POOLS[hidden.pool][dims - 1]
        window, bias = (self.kernel, self.stride, self.padding), hidden.conv_bias or hidden.norm_name == "none"
        modules: dict[str, nn.Module | None] = {}
        if self.separable:
            modules[f"depthwise{n}"] = conv(inputs, inputs, *window, groups=inputs, bias=bias)
            modules[f"depthwise_norm{n}"] = hidden.norm(inputs)
            modules[f"depthwise_neuron{n}"] = hidden.neuron()
            modules[f"pointwise{n}"] = conv(inputs, self.filters, 1, bias=bias)
        else:
            modules[f"conv{n}"] = conv(inputs, self.filters, *window, bias=bias)
        pool = {f"pool{n}": pooling(self.pool) if shrinks(self.pool) else None}
        behind = {
            f"norm{n}": hidden.norm(self.filters),
            f"neuron{n}": hidden.last_neuron(self.filters, dims),
            f"dropout{n}": layer.Dropout(self.dropout) if self.dropout else None,
        }
        return {**modules, **pool, **behind} if hidden.pool_first else {**modules, **behind, **pool}


def linear_head(
    width: int, layers: list[tuple[int, float]], hidden: Hidden, outputs: int, bias: bool, head_dropout: float
) -> Modules:
    """Build flatten → [linear → neuron → dropout] for each layer → dropout → linear, […,C,S] or […,C,H,W] → […,K]."""
    modules: dict[str, nn.Module | None] = {"flatten": layer.Flatten()}
    for number, (units, dropout) in enumerate(layers, start=1):
        require_at_least(1, fc_units=units)
        require_probability(fc_dropouts=dropout)
        modules[f"fc{number}"] = layer.Linear(width, units, bias)
        modules[f"fc_neuron{number}"] = hidden.last_neuron(units, 0)
        modules[f"fc_dropout{number}"] = layer.Dropout(dropout) if dropout else None
        width = units
    require_probability(head_dropout=head_dropout)
    modules["head_dropout"] = layer.Dropout(head_dropout) if head_dropout else None
    return {**modules, "head": layer.Linear(width, outputs, bias)}


def sum_head(channels: int, dims: int, neuron: BuildNeuron, classes: int) -> Modules:
    """Build 1×1 conv with bias → neuron → sum over all positions, […,C,S] or […,C,H,W] → […,K]."""
    return {
        "head": CONVOLUTION[dims - 1](channels, classes, 1),
        "head_neuron": neuron(),
        "global_sum": GlobalSumPool(dims),
    }
