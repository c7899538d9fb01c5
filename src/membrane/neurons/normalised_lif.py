"""The leaky integrate-and-fire neuron with batch norm on its membrane potential."""

import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError


class MPBNLIF(neuron.BaseNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,C,…] or [T,N,C,…] → spikes: LIF whose potential is normalised before it is compared with the threshold.

    Membrane potential batch norm (Guo et al. 2023, arXiv:2308.08359): s[t] = Θ(BN(h[t]) − θ), with statistics of one
    timestep for each of C channels, in both step modes. What resets and is carried on is h, as in the authors' code.
    The number of channels is that of the first input.

    Arguments:
        tau: the time constant in timesteps, above 1.
        decay_input: divide the input by τ too.
        v_threshold: θ.
        v_reset: the potential after a spike; None subtracts θ.
        surrogate_function: the spike's derivative; SpikingJelly's sigmoid if None.
        detach_reset: let no gradient flow through the spike in the reset.
        carry_normalised: let BN(h) reset and be carried on, as in SpikingJelly's MPBNLIFNode.
        fold: in evaluation compare h with thresholds of the channels, θ' = (θ − β)·σ/γ + μ, into which the norm is
            folded, as in the paper: the spikes are the same. Raises ConfigError beside ``carry_normalised``.
    """

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = False,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: nn.Module | None = None,
        detach_reset: bool = False,
        carry_normalised: bool = False,
        fold: bool = False,
    ) -> None:
        if carry_normalised and fold:
            raise ConfigError("fold needs carry_normalised=false: a potential that is carried on cannot be folded")
        super().__init__(v_threshold, v_reset, surrogate_function or surrogate.Sigmoid(), detach_reset)
        self.tau = tau
        self.decay_input = decay_input
        self.carry_normalised = carry_normalised
        self.fold = fold
        self.norm = nn.LazyBatchNorm1d()

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run one timestep, in SpikingJelly's terms: (x [N,C,…],), (v [N,C,…],) → (spikes,), (v,)."""
        h = functional.lif_charge(inputs[0], states[0], self.tau, self.decay_input, self.v_reset)
        shaped = not isinstance(self.norm, nn.LazyBatchNorm1d)  # by the first input, which changes its class
        if self.fold and shaped and not self.training:
            spike, carried = self.surrogate_function(self.above_folded_threshold(h)), h
        else:
            normed = self.norm(h.flatten(2) if h.dim() > 2 else h).reshape(h.shape)
            spike = self.surrogate_function(normed - self.v_threshold)
            carried = normed if self.carry_normalised else h
        v = functional.voltage_reset(carried, spike, self.v_threshold, self.v_reset, self.detach_reset)
        return (spike,), (v,)

    def above_folded_threshold(self, h: Tensor) -> Tensor:
        """Return how far h [N,C,…] is above the threshold θ' of its channel; below it where γ is negative."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert isinstance(mean, Tensor)
        assert isinstance(variance, Tensor)
        gamma = self.norm.weight
        threshold = (self.v_threshold - self.norm.bias) * (variance + self.norm.eps).sqrt() / gamma + mean
        sign = torch.ones_like(gamma).copysign(gamma)
        shape = (-1, *[1] * (h.dim() - 2))
        above: Tensor = (h - threshold.reshape(shape)) * sign.reshape(shape)
        return above
