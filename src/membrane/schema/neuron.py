"""Neurons, and what stands in their place in the ANN twin. What each is for, and its paper: conf/neuron."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.node import LATER, Fraction, Node, Positive, Trusted

Steps = Literal["one by one", "together", "either", "online"]


class Neuron(Node):
    """A neuron, or an activation in its place; only spiking ones take a surrogate gradient.

    ``steps`` says how a neuron goes through time: ``one by one``, its state carried from step to step; ``together``, in
    multi-step mode alone; ``either``, from a queue of inputs one by one or from the whole sequence, but not mixed;
    ``online``, in single-step mode alone, as no gradient flows from step to step. ``analog``: its outputs are real
    numbers. ``by_channel``: it has parameters for each channel, the second axis of [N,C,…]. ``published_with`` is the
    surrogate of a neuron's paper, choice and settings, if the default is another.
    """

    spiking: ClassVar[bool] = True
    takes_surrogate: ClassVar[bool] = True
    steps: ClassVar[Steps] = "one by one"
    analog: ClassVar[bool] = False
    by_channel: ClassVar[bool] = False
    published_with: ClassVar[tuple[str, Mapping[str, float]] | None] = None

    @property
    def hooks_weights(self) -> bool:
        """Return whether the layers of weights behind it compute something else, by hooks."""
        return False


class SpikingNeuron(Neuron):
    """The settings that SpikingJelly's neurons share: ``v_reset`` null is a soft reset (subtract the threshold)."""

    v_threshold: float = 1.0
    v_reset: float | None = 0.0
    detach_reset: bool = False


class IF(SpikingNeuron):
    """Integrate-and-fire: h[t] = v[t−1] + x[t], a spike where h reaches the threshold."""

    choice = "if"
    public = "spikingjelly.activation_based.neuron.IFNode"
    defined = "spikingjelly.activation_based.neuron.integrate_and_fire.IFNode"


class LIF(SpikingNeuron):
    """Leaky integrate-and-fire: the potential decays to rest with τ; ``decay_input`` divides the input by τ too."""

    choice = "lif"
    public = "spikingjelly.activation_based.neuron.LIFNode"
    defined = "spikingjelly.activation_based.neuron.lif.LIFNode"
    tau: float = Field(default=2.0, gt=1)
    decay_input: bool = True


class PLIF(SpikingNeuron):
    """LIF that learns one τ for each layer, 1/τ = sigmoid(w)."""

    choice = "plif"
    public = "spikingjelly.activation_based.neuron.ParametricLIFNode"
    defined = "spikingjelly.activation_based.neuron.plif.ParametricLIFNode"
    init_tau: float = Field(default=2.0, gt=1)
    decay_input: bool = True


class KLIF(LIF):
    """LIF that learns a slope k for each layer; max(0, k·h) fires and resets."""

    choice = "klif"
    public = "spikingjelly.activation_based.neuron.KLIFNode"
    defined = "spikingjelly.activation_based.neuron.lif_variants.KLIFNode"
    scale_reset: bool = False


class Nonlinear(SpikingNeuron):
    """The settings that the quadratic and the exponential neuron share."""

    tau: float = Field(default=2.0, gt=1)
    v_rest: float = 0.0
    v_reset: float | None = -0.1

    @model_validator(mode="after")
    def rest_above_reset(self) -> Self:
        """Reject a resting potential below the one after a spike."""
        if self.v_reset is not None and self.v_rest < self.v_reset:
            raise ValueError(f"v_rest={self.v_rest} must not lie below v_reset={self.v_reset}")
        return self


class QIF(Nonlinear):
    """Quadratic integrate-and-fire: a0·(v − v_rest)·(v − v_c) drives it."""

    choice = "qif"
    public = "spikingjelly.activation_based.neuron.QIFNode"
    defined = "spikingjelly.activation_based.neuron.nonlinear_if.QIFNode"
    v_c: float = 0.8
    a0: Positive = 1.0


class EIF(Nonlinear):
    """Exponential integrate-and-fire: Δ·exp((v − θ)/Δ) makes the upstroke."""

    choice = "eif"
    public = "spikingjelly.activation_based.neuron.EIFNode"
    defined = "spikingjelly.activation_based.neuron.nonlinear_if.EIFNode"
    delta_T: Positive = 1.0  # noqa: N815  SpikingJelly's name
    theta_rh: float = 0.8


Open = Annotated[float, Field(gt=0, lt=1)]


class GLIF(Neuron):
    """Gated LIF: learned gates mix two ways to leak, to integrate and to reset."""

    choice = "glif"
    public = "membrane.neurons.gated_lif.GatedLIF"
    steps = "together"
    init_tau: Open = 0.25
    init_v_threshold: Open = 0.5
    init_conduct: Open = 0.5
    init_linear_decay: Open | None = None
    init_v_subreset: Open | None = None


class CUBALIF(Neuron):
    """Current-based LIF: a current that decays charges a potential that decays, each by its own factor a timestep."""

    choice = "cuba_lif"
    public = "spikingjelly.activation_based.neuron.CUBALIFNode"
    defined = "spikingjelly.activation_based.neuron.lif_variants.CUBALIFNode"
    c_decay: Fraction = 0.5
    v_decay: Fraction = 0.75
    v_threshold: float = 0.5
    v_reset: float | None = 0.0


class PSN(Neuron):
    """Parallel spiking neuron: a learned T×T matrix over all timesteps, a threshold for each, no reset.

    It sees the future and learns for one T.
    """

    choice = "psn"
    public = "spikingjelly.activation_based.neuron.PSN"
    defined = "spikingjelly.activation_based.neuron.psn.PSN"
    steps = "together"


class MaskedPSN(Neuron):
    """PSN masked to the last k timesteps where ``lambda_init`` is 1; less lets the rest of the matrix in by 1 − λ.

    λ stays as it starts.
    """

    choice = "masked_psn"
    public = "spikingjelly.activation_based.neuron.MaskedPSN"
    defined = "spikingjelly.activation_based.neuron.psn.MaskedPSN"
    steps = "either"
    k: PositiveInt
    lambda_init: Fraction = 0.0


class SlidingPSN(Neuron):
    """PSN with one weight for each of the last k timesteps, the same at every t, for any T."""

    choice = "sliding_psn"
    public = "spikingjelly.activation_based.neuron.SlidingPSN"
    defined = "spikingjelly.activation_based.neuron.psn.SlidingPSN"
    steps = "either"
    k: PositiveInt
    exp_init: bool = True


class IFSRL(Neuron):
    """Soft-reset IF that learns one threshold for each layer; spikes are 0 and 1.

    The threshold starts anywhere between ``vth_init_l``·``v_threshold`` and ``vth_init_h``·``v_threshold``.
    """

    choice = "ifsrl"
    public = "membrane.neurons.learnable_threshold.IFSRL"
    published_with = ("sigmoid", {"alpha": 1.0})
    v_threshold: Positive = 1.0
    vth_init_l: Positive = LATER(0.8)
    vth_init_h: Positive = LATER(1.0)
    detach_reset: bool = False

    @model_validator(mode="after")
    def bounds_in_order(self) -> Self:
        """Reject a lower bound of the initial threshold above the upper one."""
        if self.vth_init_l > self.vth_init_h:
            raise ValueError(f"vth_init_l={self.vth_init_l} must not lie above vth_init_h={self.vth_init_h}")
        return self


class ATIF(IFSRL):
    """IFSRL whose spikes are scaled by the learned threshold: 0 and θ."""

    choice = "atif"
    public = "membrane.neurons.learnable_threshold.ATIF"


class ReLU(Neuron):
    """No neuron but its ANN twin: the same network without time, of the same names and initial weights."""

    choice = "relu"
    public = "torch.nn.ReLU"
    defined = "torch.nn.modules.activation.ReLU"
    spiking = False
    takes_surrogate = False


class FurtherNeuron(Neuron, Trusted):
    """Another neuron of SpikingJelly's, named by its class: neuron._target_=…; its constructor checks its settings."""


def further_neuron(name: str, module: str, **facts: Any) -> type[FurtherNeuron]:
    """Return the node of SpikingJelly's neuron ``name``, defined in ``module``; ``facts`` are those of `Neuron`."""
    home = "spikingjelly.activation_based.neuron"
    names = {"public": f"{home}.{name}", "defined": f"{home}.{module}.{name}", "__module__": __name__}
    return type(name, (FurtherNeuron,), {**names, **facts})


NEURONS = (
    IF,
    LIF,
    PLIF,
    KLIF,
    QIF,
    EIF,
    GLIF,
    CUBALIF,
    PSN,
    MaskedPSN,
    SlidingPSN,
    ATIF,
    IFSRL,
    ReLU,
    further_neuron("ActivationAwareIFNode", "integrate_and_fire"),
    further_neuron("ComplementaryLIFNode", "lif_variants"),
    further_neuron("DSRIFNode", "dsr", steps="together", takes_surrogate=False),
    further_neuron("DSRLIFNode", "dsr", steps="together", takes_surrogate=False),
    further_neuron("HalfThresholdIFNode", "integrate_and_fire"),
    further_neuron("ILIFNode", "ilif"),
    further_neuron("IzhikevichNode", "adapt"),
    further_neuron("RAFNode", "resonate"),
    further_neuron("SimpleIFNode", "integrate_and_fire"),
    further_neuron("SimpleLIFNode", "lif"),
    further_neuron("TernaryIFNode", "ternary"),
    further_neuron("TernaryLIFNode", "ternary"),
)
