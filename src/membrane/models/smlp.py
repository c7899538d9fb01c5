"""The spiking multi-layer perceptron, for 1-D and 2-D data."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

from spikingjelly.activation_based import layer
from torch import nn

from membrane.errors import ConfigError
from membrane.models.delays import make_linear
from membrane.models.geometry import channels_and_size, require_at_least, require_probability, require_voters
from membrane.models.norms import make_norm
from membrane.models.recurrence import make_recurrent
from membrane.models.synapse import make_synapse
from membrane.neurons.leaky import Leaky


class SMLP(nn.Sequential):
    """[N,C,…] or [T,N,C,…] → flatten → [linear → norm → neuron] for each of ``units`` → linear → [N,K] or [T,N,K].

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        units: neurons of each hidden layer; one layer of 128 by default.
        norm: one of `norms`; none by default, as a network this shallow trains without.
        recurrent: one of `recurrence`, for every hidden neuron; ``none`` by default.
        bias: of every linear layer, before a norm too; on by default.
        dropout: probability behind every hidden neuron; 0, the default, is no module.
        synapse_tau: τ in timesteps at the start, above 1, of a `synapse` filter behind every hidden neuron; none by
            default.
        max_delay: the longest delay in timesteps of synapses that learn theirs, in every linear layer; none by default.
        delay_epochs: epochs of training in which delays sharpen, as `DelayedLinear` explains.
        head_neuron: put a neuron behind the last linear layer, so that the outputs are spikes.
        head_detach_reset: ``detach_reset`` of that neuron, if it differs from the others'.
        votes: neurons of each class behind the last linear layer; an output is their mean. Raises ConfigError above 1
            without ``head_neuron``.
        head_potential: put out that neuron's potentials, [T,N,K] as they are compared with the threshold, in place of
            its spikes. Raises ConfigError unless it is a `Leaky`.
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
        bias: bool = True,
        dropout: float = 0.0,
        synapse_tau: float | None = None,
        max_delay: int | None = None,
        delay_epochs: int = 5,
        head_neuron: bool = False,
        head_detach_reset: bool | None = None,
        head_potential: bool = False,
        votes: int = 1,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        channels, size = channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        require_voters(votes, head_neuron)
        require_probability(dropout=dropout)
        linear = partial(make_linear, bias=bias, max_delay=max_delay, epochs=delay_epochs)
        self.add_module("flatten", layer.Flatten())
        inputs = channels * prod(size)
        for number, width in enumerate(units, start=1):
            require_at_least(1, units=width)
            self.add_module(f"fc{number}", linear(inputs, width))
            normalise = make_norm(norm, 0, width, timesteps, getattr(neuron, "v_threshold", 1.0))
            if normalise is not None:
                self.add_module(f"norm{number}", normalise)
            self.add_module(f"neuron{number}", make_recurrent(recurrent, neuron(), 0, width))
            synapse = make_synapse(synapse_tau)
            if synapse is not None:
                self.add_module(f"synapse{number}", synapse)
            if dropout:
                self.add_module(f"dropout{number}", layer.Dropout(dropout))
            inputs = width
        self.add_module("head", linear(inputs, classes * votes))
        if head_neuron:
            last = neuron()
            if head_detach_reset is not None:
                last.detach_reset = head_detach_reset  # type: ignore[assignment]  # torch types it as tensor or module
            if head_potential:
                put_out_potentials(last)
            self.add_module("head_neuron", last)
        if votes > 1:
            self.add_module("vote", layer.VotingLayer(votes))


def put_out_potentials(neuron: nn.Module) -> None:
    """Let a neuron put out its potentials. Raises ConfigError if it cannot."""
    if not isinstance(neuron, Leaky):
        raise ConfigError(f"head_potential needs a neuron of class Leaky, got {type(neuron).__name__}")
    neuron.analog = True
