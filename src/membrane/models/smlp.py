"""The spiking multi-layer perceptron."""

from collections.abc import Callable, Sequence
from math import prod

from spikingjelly.activation_based import layer
from torch import nn

from membrane.models.geometry import checked_shape


class SMLP(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → flatten → [linear → neuron] for each of ``units`` → linear → [N,K] or [T,N,K]."""

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        units: Sequence[int] = (128,),
        dims: int | None = None,
    ) -> None:
        super().__init__()
        channels, size = checked_shape(input_shape, dims)
        self.add_module("flatten", layer.Flatten())
        inputs = channels * prod(size)
        for number, width in enumerate(units, start=1):
            self.add_module(f"fc{number}", layer.Linear(inputs, width))
            self.add_module(f"neuron{number}", neuron())
            inputs = width
        self.add_module("head", layer.Linear(inputs, classes))
