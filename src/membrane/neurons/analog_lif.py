"""The leaky integrate-and-analog-fire neuron."""

from spikingjelly.activation_based import base, neuron, surrogate
from torch import Tensor, nn
from torch.nn import functional


def leaky_relu(h: Tensor) -> Tensor:
    """Return h [N,…] where it is positive, else a fifth of it, as in the authors' code."""
    return functional.leaky_relu(h, 0.2)


ACTIVATIONS = {"relu": functional.relu, "leaky_relu": leaky_relu, "selu": functional.selu}


class LIAF(neuron.LIAFNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,…] or [T,N,…] → real numbers: LIF that spikes and resets, and puts out an activation of its potential.

    LIAF-Net (Wu et al. 2021, arXiv:2011.06176). y[t] = f(h[t]), h being the potential before the reset. SpikingJelly's
    LIAFNode puts out the spikes in multi-step mode; this one puts out y in both.

    Arguments:
        activation: f, one of `ACTIVATIONS`.
        threshold_related: put out f(h[t] − θ) instead.
        tau: the time constant in timesteps, above 1.
        decay_input: divide the input by τ too.
        v_threshold: θ, at which a spike resets the potential.
        v_reset: the potential after a spike; None subtracts θ.
        surrogate_function: the spike's derivative, through which the reset has a gradient; SpikingJelly's sigmoid if
            None.
        detach_reset: let no gradient flow through the spike in the reset.
    """

    analog = True
    # LIFNode's own is that of a neuron which puts out its spikes
    multi_step_functional_forward = base.MemoryModule.multi_step_functional_forward

    def __init__(
        self,
        activation: str = "relu",
        threshold_related: bool = False,
        tau: float = 2.0,
        decay_input: bool = True,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: nn.Module | None = None,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(
            ACTIVATIONS[activation],
            threshold_related,
            tau,
            decay_input,
            v_threshold,
            v_reset,
            surrogate_function or surrogate.Sigmoid(),
            detach_reset,
        )
