"""Neurons, and what stands in their place in the ANN twin."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.node import Fraction, Node, Positive, Trusted

Steps = Literal["one by one", "together", "either"]


class Neuron(Node):
    """A neuron, or an activation in its place; only spiking ones take a surrogate gradient.

    ``steps`` says how a neuron goes through time: ``one by one``, its state carried from step to step; ``together``, in
    multi-step mode alone; ``either``, from a queue of inputs one by one or from the whole sequence, but not mixed.
    """

    spiking: ClassVar[bool] = True
    steps: ClassVar[Steps] = "one by one"


class SpikingNeuron(Neuron):
    """What SpikingJelly's neurons share: ``v_reset`` null is a soft reset (subtract the threshold)."""

    v_threshold: float = 1.0
    v_reset: float | None = 0.0
    detach_reset: bool = False


class IF(SpikingNeuron):
    choice = "if"
    public = "spikingjelly.activation_based.neuron.IFNode"
    defined = "spikingjelly.activation_based.neuron.integrate_and_fire.IFNode"


class LIF(SpikingNeuron):
    choice = "lif"
    public = "spikingjelly.activation_based.neuron.LIFNode"
    defined = "spikingjelly.activation_based.neuron.lif.LIFNode"
    tau: float = Field(default=2.0, gt=1)
    decay_input: bool = True


class PLIF(SpikingNeuron):
    choice = "plif"
    public = "spikingjelly.activation_based.neuron.ParametricLIFNode"
    defined = "spikingjelly.activation_based.neuron.plif.ParametricLIFNode"
    init_tau: float = Field(default=2.0, gt=1)
    decay_input: bool = True


class KLIF(LIF):
    choice = "klif"
    public = "spikingjelly.activation_based.neuron.KLIFNode"
    defined = "spikingjelly.activation_based.neuron.lif_variants.KLIFNode"
    scale_reset: bool = False


class Nonlinear(SpikingNeuron):
    """What the quadratic and the exponential neuron share."""

    tau: float = Field(default=2.0, gt=1)
    v_rest: float = 0.0
    v_reset: float | None = -0.1

    @model_validator(mode="after")
    def rest_above_reset(self) -> Self:
        """Refuse a resting potential below the one after a spike."""
        if self.v_reset is not None and self.v_rest < self.v_reset:
            raise ValueError(f"v_rest={self.v_rest} must not lie below v_reset={self.v_reset}")
        return self


class QIF(Nonlinear):
    choice = "qif"
    public = "spikingjelly.activation_based.neuron.QIFNode"
    defined = "spikingjelly.activation_based.neuron.nonlinear_if.QIFNode"
    v_c: float = 0.8
    a0: Positive = 1.0


class EIF(Nonlinear):
    choice = "eif"
    public = "spikingjelly.activation_based.neuron.EIFNode"
    defined = "spikingjelly.activation_based.neuron.nonlinear_if.EIFNode"
    delta_T: Positive = 1.0  # noqa: N815  SpikingJelly's name
    theta_rh: float = 0.8


Open = Annotated[float, Field(gt=0, lt=1)]


class GLIF(Neuron):
    choice = "glif"
    public = "membrane.neurons.gated_lif.GatedLIF"
    steps = "together"
    init_tau: Open = 0.25
    init_v_threshold: Open = 0.5
    init_conduct: Open = 0.5
    init_linear_decay: Open | None = None
    init_v_subreset: Open | None = None


class CUBALIF(Neuron):
    choice = "cuba_lif"
    public = "spikingjelly.activation_based.neuron.CUBALIFNode"
    defined = "spikingjelly.activation_based.neuron.lif_variants.CUBALIFNode"
    c_decay: Fraction = 0.5
    v_decay: Fraction = 0.75
    v_threshold: float = 0.5
    v_reset: float | None = 0.0


class PSN(Neuron):
    choice = "psn"
    public = "spikingjelly.activation_based.neuron.PSN"
    defined = "spikingjelly.activation_based.neuron.psn.PSN"
    steps = "together"


class MaskedPSN(Neuron):
    choice = "masked_psn"
    public = "spikingjelly.activation_based.neuron.MaskedPSN"
    defined = "spikingjelly.activation_based.neuron.psn.MaskedPSN"
    steps = "either"
    k: PositiveInt
    lambda_init: Fraction = 0.0


class SlidingPSN(Neuron):
    choice = "sliding_psn"
    public = "spikingjelly.activation_based.neuron.SlidingPSN"
    defined = "spikingjelly.activation_based.neuron.psn.SlidingPSN"
    steps = "either"
    k: PositiveInt
    exp_init: bool = True


class IFSRL(Neuron):
    choice = "ifsrl"
    public = "membrane.neurons.learnable_threshold.IFSRL"
    v_threshold: Positive = 1.0
    detach_reset: bool = False


class ATIF(IFSRL):
    choice = "atif"
    public = "membrane.neurons.learnable_threshold.ATIF"


class ReLU(Neuron):
    choice = "relu"
    public = "torch.nn.ReLU"
    defined = "torch.nn.modules.activation.ReLU"
    spiking = False


class FurtherNeuron(Neuron, Trusted):
    """Another neuron of SpikingJelly's, named by its class: neuron._target_=…; its constructor checks its settings."""


def further(name: str, module: str, steps: Steps = "one by one") -> type[FurtherNeuron]:
    """The node of SpikingJelly's neuron ``name``, defined in ``module``."""
    home = "spikingjelly.activation_based.neuron"
    said = {"public": f"{home}.{name}", "defined": f"{home}.{module}.{name}", "steps": steps, "__module__": __name__}
    return type(name, (FurtherNeuron,), said)


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
    further("ActivationAwareIFNode", "integrate_and_fire"),
    further("ComplementaryLIFNode", "lif_variants"),
    further("DSRIFNode", "dsr", steps="together"),
    further("DSRLIFNode", "dsr", steps="together"),
    further("HalfThresholdIFNode", "integrate_and_fire"),
    further("ILIFNode", "ilif"),
    further("IzhikevichNode", "adapt"),
    further("RAFNode", "resonate"),
    further("SimpleIFNode", "integrate_and_fire"),
    further("SimpleLIFNode", "lif"),
    further("TernaryIFNode", "ternary"),
    further("TernaryLIFNode", "ternary"),
)
