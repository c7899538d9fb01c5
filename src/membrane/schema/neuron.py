"""Neurons, and what stands in their place in the ANN twin."""

from typing import ClassVar

from pydantic import Field

from membrane.schema.node import Node


class Neuron(Node):
    """A neuron, or an activation in its place; only spiking ones take a surrogate gradient."""

    spiking: ClassVar[bool] = True


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


class ReLU(Neuron):
    choice = "relu"
    public = "torch.nn.ReLU"
    defined = "torch.nn.modules.activation.ReLU"
    spiking = False


NEURONS = (IF, LIF, PLIF, ReLU)
