"""The spiking convolutional network, for 1-D and 2-D data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from spikingjelly.activation_based import layer
from torch import nn

from membrane.errors import ConfigError
from membrane.models.geometry import at_least, checked_shape, per_layer, probability, slid
from membrane.models.norms import make_norm
from membrane.models.pooling import GlobalSumPool
from membrane.models.recurrence import make_recurrent

# by the number of dimensions: [1-D, 2-D]
CONVOLUTION = (layer.Conv1d, layer.Conv2d)
MAX_POOL = (layer.MaxPool1d, layer.MaxPool2d)
AVERAGE_POOL = (layer.AvgPool1d, layer.AvgPool2d)

NeuronFactory = Callable[[], nn.Module]
Modules = Mapping[str, nn.Module | None]


class SCNN(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → average pool → layers → average pool → head → [N,K] or [T,N,K].

    A layer is conv → norm → neuron → dropout → max pool; where it is *separable*, depthwise conv → norm → neuron →
    pointwise conv → norm → neuron take the place of the first three. Convolutions have a bias only without a norm. The
    head is flatten → [linear → neuron → dropout] for each of ``fc_units`` → linear, or with ``gsp`` a 1×1 conv with
    bias → neuron → sum over all positions. With ``head_neuron`` the last linear layer has a neuron too, so that the
    outputs are spikes.

    ``filters`` says how many layers there are. Every other setting of a layer is a list with one entry a layer, or one
    value for all (``fc_dropouts``: of the layers of ``fc_units``). A pool of 1 and a dropout of 0 are no module.
    ``neuron`` builds a fresh neuron at every call; ``timesteps`` is for norms that learn something for each. ``norm``
    is one of `norms`, ``recurrent`` one of `recurrence`: it makes the last neuron of every layer recurrent, those of
    ``fc_units`` included. ConfigError for what cannot be built.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: NeuronFactory,
        filters: Sequence[int],
        kernel_sizes: int | Sequence[int] = 3,
        paddings: int | Sequence[int] = 1,
        strides: int | Sequence[int] = 1,
        pool_sizes: int | Sequence[int] = 2,
        dropouts: float | Sequence[float] = 0.0,
        separables: bool | Sequence[bool] = False,
        norm: str = "batch",
        recurrent: str = "none",
        fc_units: Sequence[int] = (),
        fc_dropouts: float | Sequence[float] = 0.0,
        gsp: bool = False,
        head_neuron: bool = False,
        prepool: int = 1,
        postpool: int = 1,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        at_least(1, classes=classes)
        if gsp and fc_units:
            raise ConfigError(f"gsp has no linear layers: fc_units must be [], got {list(fc_units)}")
        if gsp and head_neuron:
            raise ConfigError("gsp has a neuron behind its head: leave head_neuron out")
        channels, size = checked_shape(input_shape, dims)
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
        hidden = Hidden(neuron, norm, recurrent, timesteps, len(size))
        for number, settings in enumerate(layers, start=1):
            one = Layer(number, channels, size, *settings)
            channels, size = one.filters, one.size_after()
            self.add_all(one.modules(hidden))
        size = self.add_average_pool("postpool", size, postpool)
        if gsp:
            self.add_all(sum_head(channels, len(size), neuron, classes))
        else:
            linear = per_layer(len(fc_units), fc_units=fc_units, fc_dropouts=fc_dropouts)
            self.add_all(linear_head(channels * prod(size), linear, hidden, classes))
        if head_neuron:
            self.add_module("head_neuron", neuron())

    def add_average_pool(self, name: str, size: list[int], pool: int) -> list[int]:
        """Append an average pool and give the size that it leaves."""
        after = slid(name, size, pool, pool)
        if pool > 1:
            self.add_module(name, AVERAGE_POOL[len(size) - 1](pool))
        return after

    def add_all(self, modules: Modules) -> None:
        """Append modules under their names; None is no module."""
        for name, module in modules.items():
            if module is not None:
                self.add_module(name, module)


@dataclass(frozen=True)
class Hidden:
    """What stands after the weights of every hidden layer."""

    neuron: NeuronFactory
    norm_kind: str
    recurrent: str
    timesteps: int
    dims: int

    def norm(self, channels: int) -> nn.Module | None:
        """A norm over ``channels``."""
        v_threshold = getattr(self.neuron, "v_threshold", 1.0)
        return make_norm(self.norm_kind, self.dims, channels, self.timesteps, v_threshold)

    def last_neuron(self, features: int, dims: int) -> nn.Module:
        """The neuron that ends a layer, recurrent where asked for."""
        return make_recurrent(self.recurrent, self.neuron(), dims, features)


@dataclass(frozen=True)
class Layer:
    """One convolutional layer for inputs [channels, *size]."""

    number: int
    channels: int
    size: list[int]
    filters: int
    kernel: int
    padding: int
    stride: int
    pool: int
    dropout: float
    separable: bool

    def size_after(self) -> list[int]:
        """What the layer leaves of ``size``; ConfigError where it does not fit."""
        at_least(1, filters=self.filters)
        probability(dropouts=self.dropout)
        name = f"depthwise{self.number}" if self.separable else f"conv{self.number}"
        convolved = slid(name, self.size, self.kernel, self.stride, self.padding)
        return slid(f"pool{self.number}", convolved, self.pool, self.pool)

    def modules(self, hidden: Hidden) -> Modules:
        """The layer's modules by name, in order."""
        n, dims, inputs = self.number, len(self.size), self.channels
        conv, max_pool = CONVOLUTION[dims - 1], MAX_POOL[dims - 1]
        window, bias = (self.kernel, self.stride, self.padding), hidden.norm_kind == "none"
        modules: dict[str, nn.Module | None] = {}
        if self.separable:
            modules[f"depthwise{n}"] = conv(inputs, inputs, *window, groups=inputs, bias=bias)
            modules[f"depthwise_norm{n}"] = hidden.norm(inputs)
            modules[f"depthwise_neuron{n}"] = hidden.neuron()
            modules[f"pointwise{n}"] = conv(inputs, self.filters, 1, bias=bias)
        else:
            modules[f"conv{n}"] = conv(inputs, self.filters, *window, bias=bias)
        modules[f"norm{n}"] = hidden.norm(self.filters)
        modules[f"neuron{n}"] = hidden.last_neuron(self.filters, dims)
        modules[f"dropout{n}"] = layer.Dropout(self.dropout) if self.dropout else None
        modules[f"pool{n}"] = max_pool(self.pool) if self.pool > 1 else None
        return modules


def linear_head(width: int, layers: list[tuple[int, float]], hidden: Hidden, classes: int) -> Modules:
    """[…,C,S] or […,C,H,W] → […,K]: flatten → [linear → neuron → dropout] for each layer → linear."""
    modules: dict[str, nn.Module | None] = {"flatten": layer.Flatten()}
    for number, (units, dropout) in enumerate(layers, start=1):
        at_least(1, fc_units=units)
        probability(fc_dropouts=dropout)
        modules[f"fc{number}"] = layer.Linear(width, units)
        modules[f"fc_neuron{number}"] = hidden.last_neuron(units, 0)
        modules[f"fc_dropout{number}"] = layer.Dropout(dropout) if dropout else None
        width = units
    return {**modules, "head": layer.Linear(width, classes)}


def sum_head(channels: int, dims: int, neuron: NeuronFactory, classes: int) -> Modules:
    """[…,C,S] or […,C,H,W] → […,K]: 1×1 conv with bias → neuron → sum over all positions."""
    return {
        "head": CONVOLUTION[dims - 1](channels, classes, 1),
        "head_neuron": neuron(),
        "global_sum": GlobalSumPool(dims),
    }
