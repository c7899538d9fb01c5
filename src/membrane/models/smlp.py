"""The spiking multi-layer perceptron, for 1-D and 2-D data."""

from collections.abc import Callable, Sequence
from math import prod

from spikingjelly.activation_based import layer
from torch import nn

from membrane.models.geometry import at_least, checked_shape
from membrane.models.norms import make_norm
from membrane.models.recurrence import make_recurrent


class SMLP(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → flatten → [linear → norm → neuron] for each of ``units`` → linear → [N,K] or [T,N,K].

    ``neuron`` builds a fresh neuron at every call; ``timesteps`` is for norms that learn something for each. ``norm``
    is one of `norms`; linear layers keep their bias before one. ``recurrent``, one of `recurrence`, makes every neuron
    recurrent. With ``head_neuron`` the last linear layer has a neuron too, so that the outputs are spikes. ConfigError
    for what cannot be built.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        units: Sequence[int] = (128,),
        norm: str = "none",
        recurrent: str = "none",
        head_neuron: bool = False,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        channels, size = checked_shape(input_shape, dims)
        at_least(1, classes=classes)
        self.add_module("flatten", layer.Flatten())
        inputs = channels * prod(size)
        for number, width in enumerate(units, start=1):
            at_least(1, units=width)
            self.add_module(f"fc{number}", layer.Linear(inputs, width))
            normed = make_norm(norm, 0, width, timesteps, getattr(neuron, "v_threshold", 1.0))
            if normed is not None:
                self.add_module(f"norm{number}", normed)
            self.add_module(f"neuron{number}", make_recurrent(recurrent, neuron(), 0, width))
            inputs = width
        self.add_module("head", layer.Linear(inputs, classes))
        if head_neuron:
            self.add_module("head_neuron", neuron())
