"""Neurons that learn online, put out real numbers or counts, or normalise their potential."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.neuron import Neuron, SpikingNeuron
from membrane.schema.node import Fraction, Positive


class SLTTLIF(Neuron):
    """LIF that learns from each timestep by itself: the gradient flows through layers, not through time.

    Published with a loss of each timestep. The timesteps of a batch share one backward pass: the gradient is the
    paper's, its savings of memory are not.
    """

    choice = "sltt_lif"
    public = "membrane.neurons.online.SLTTLIF"
    steps = "online"
    tau: float = Field(default=2.0, gt=1)
    decay_input: bool = True
    v_threshold: float = 1.0
    v_reset: float | None = 0.0


class OTTTLIF(SLTTLIF):
    """sltt_lif behind which weights learn from a trace of their input, which decays as the potential does.

    The gradients of all timesteps add up before weights change, as in the paper's OTTT_A.
    """

    choice = "ottt_lif"
    public = "membrane.neurons.online.OTTTLIF"
    decay_input: bool = False
    v_reset: float | None = None

    @property
    def hooks_weights(self) -> bool:
        """Return that weights learn from traces."""
        return True


class LIAF(SpikingNeuron):
    """LIF that spikes and resets, and puts out f(h), h its potential before the reset.

    With ``threshold_related`` f(h − θ).
    """

    choice = "liaf"
    public = "membrane.neurons.analog_lif.LIAF"
    analog = True
    tau: float = Field(default=2.0, gt=1)
    decay_input: bool = True
    activation: Literal["relu", "leaky_relu", "selu"] = "relu"
    threshold_related: bool = False


class MPBNLIF(SpikingNeuron):
    """LIF that fires where batch norm of its potential, for each channel and timestep, reaches the threshold.

    The potential itself is carried on; with ``carry_normalised`` the normalised one is, as SpikingJelly has it. With
    ``fold`` the norm is folded into thresholds of the channels in evaluation: the same spikes.
    """

    choice = "mpbn_lif"
    public = "membrane.neurons.normalised_lif.MPBNLIF"
    by_channel = True
    tau: float = Field(default=2.0, gt=1)
    decay_input: bool = False
    carry_normalised: bool = False
    fold: bool = False

    @model_validator(mode="after")
    def folds_what_is_not_carried(self) -> Self:
        """Reject to fold a norm whose output is carried on."""
        if self.fold and self.carry_normalised:
            raise ValueError("fold=true needs carry_normalised=false: what is carried on cannot be folded")
        return self


class ILIF(Neuron):
    """Soft-reset LIF that fires up to ``max_spikes`` times a timestep: round(h/θ), and puts out the count.

    With ``binary`` evaluation sends each count to the weights behind as so many spikes of 1: the same sums.
    """

    choice = "ilif"
    public = "membrane.neurons.integer_lif.ILIF"
    takes_surrogate = False
    tau: float = Field(default=4 / 3, gt=1)
    v_threshold: Positive = 1.0
    max_spikes: PositiveInt = 4
    detach_reset: bool = False
    binary: bool = False

    @property
    def hooks_weights(self) -> bool:
        """Return whether weights receive binary spikes."""
        return self.binary


class Leaky(Neuron):
    """snnTorch's: v decays by ``beta``, and a spike subtracts the threshold one timestep later, without a gradient."""

    choice = "leaky"
    public = "membrane.neurons.leaky.Leaky"
    beta: Fraction = 0.9
    v_threshold: Positive = 1.0


VARIANTS = (SLTTLIF, OTTTLIF, LIAF, MPBNLIF, ILIF, Leaky)
