"""The leaky integrate-and-fire neuron as snnTorch defines it: a reset one timestep late."""

from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn


class Leaky(neuron.BaseNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,…] or [T,N,…] → spikes: the potential decays by β, and a spike subtracts θ at the next timestep.

    v[t] = β·v[t−1] + x[t] − θ·s[t−1], s[t] = Θ(v[t] − θ), as snnTorch's Leaky (Eshraghian et al. 2023,
    doi:10.1109/JPROC.2023.3308088, eq. 4), but that v = θ fires. No gradient flows through the reset. SpikingJelly's
    LIFNode with a soft reset subtracts θ before the decay, so β·θ.

    Arguments:
        beta: β, the share of the potential that a timestep leaves.
        v_threshold: θ.
        surrogate_function: the spike's derivative; SpikingJelly's ATan with α = 2, snnTorch's default, if None.
        analog: put out the potentials v[t] in place of the spikes.
    """

    def __init__(
        self,
        beta: float = 0.9,
        v_threshold: float = 1.0,
        surrogate_function: nn.Module | None = None,
        analog: bool = False,
    ) -> None:
        super().__init__(v_threshold, None, surrogate_function or surrogate.ATan())
        self.beta = beta
        self.analog = analog

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run one timestep, in SpikingJelly's terms: (x [N,…],), (v [N,…],) → (spikes or v [N,…],), (v [N,…],)."""
        fired = (states[0] >= self.v_threshold).to(inputs[0].dtype)
        v = self.beta * states[0] + inputs[0] - self.v_threshold * fired
        return (v if self.analog else self.surrogate_function(v - self.v_threshold),), (v,)
