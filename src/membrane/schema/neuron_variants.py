"""Neurons that learn online, put out real numbers or counts, or normalise their potential."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.neuron import Neuron, SpikingNeuron
from membrane.schema.node import Fraction, Positive


class SLTTLIF(Neuron):
    """LIF that learns from each timestep by itself: the gradient flows through layers, not through time.

    Published with a loss of each timestep. Under ``singlestep`` the timesteps of a batch share one backward pass: the
    gradient is the paper's, its savings of memory are those of ``framework=sltt``.
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


Span = Annotated[list[float], Field(min_length=2, max_length=2)]
"""The smallest and the largest value."""


class Adaptive(Neuron):
    """The settings of adaptive neurons: ranges in which each channel learns its time constants, a and b."""

    by_channel = True
    tau: Span
    tau_w: Span
    a: Span
    b: Span
    v_threshold: Positive = 1.0

    @model_validator(mode="after")
    def ranges_are_in_order(self) -> Self:
        """Reject ranges whose smallest value is the larger, and time constants that are not above 0."""
        for name in ("tau", "tau_w", "a", "b"):
            low, high = getattr(self, name)
            if low > high or (name.startswith("tau") and low <= 0):
                above = " above 0" if name.startswith("tau") else ""
                raise ValueError(f"{name} must be a range [smallest, largest]{above}, got {[low, high]}")
        return self


class AdLIF(Adaptive):
    """Adaptive LIF: u and past spikes drive an adaptation that lowers u; four constants for each channel.

    With ``model.recurrent=lateral`` it is RadLIF.
    """

    choice = "adlif"
    public = "membrane.neurons.adaptive_lif.AdLIF"
    published_with = ("boxcar", {"width": 1.0, "height": 1.0})
    tau: Span = [5.0, 25.0]
    tau_w: Span = [30.0, 120.0]
    a: Span = [-1.0, 1.0]
    b: Span = [0.0, 2.0]


class SEAdLIF(Adaptive):
    """adlif in symplectic Euler steps, stable over its whole range; the potential is reset to 0.

    ``q`` scales a and b.
    """

    choice = "se_adlif"
    public = "membrane.neurons.adaptive_lif.SEAdLIF"
    published_with = ("slayer", {"alpha": 5.0, "c": 0.4})
    tau: Span = [5.0, 25.0]
    tau_w: Span = [60.0, 300.0]
    a: Span = [0.0, 1.0]
    b: Span = [0.0, 2.0]
    q: Positive = 120.0
    detach_reset: bool = False


VARIANTS = (SLTTLIF, OTTTLIF, LIAF, MPBNLIF, ILIF, Leaky, AdLIF, SEAdLIF)
