"""Synapse filters: a layer's spikes as currents that decay, by one parameter of smlp."""

from spikingjelly.activation_based import layer
from torch import nn

from membrane.errors import ConfigError


def make_synapse(tau: float | None) -> nn.Module | None:
    """Build the filter I[t] = I[t−1] − (1 − s[t])·I[t−1]/τ + s[t] for spikes s, of which τ is learned; None without τ.

    Raises ConfigError unless τ, in timesteps, is above 1.
    """
    if tau is None:
        return None
    if not tau > 1:
        raise ConfigError(f"synapse_tau must be above 1 timestep, got {tau}")
    synapse: nn.Module = layer.SynapseFilter(tau=tau, learnable=True)
    return synapse
