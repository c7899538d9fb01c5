"""Samples of different lengths, and neurons for which what lies behind their end is no padding."""

from membrane.data.feed.module import DataModule
from membrane.errors import ConfigError
from membrane.schema import Config
from membrane.schema.neuron import PSN, MaskedPSN, Neuron

MEANS_OVER_TIME = ("DSRIFNode", "DSRLIFNode")
"""Neurons of which a timestep's gradient depends on all others."""


def refuse_padding(config: Config, data: DataModule) -> None:
    """Raise ConfigError if samples have padding and the neuron lets later timesteps change earlier outputs.

    Of all other neurons an output depends on no later timestep, so that readout and loss leave padding out. DSR's
    gradient is that of the means over all timesteps.
    """
    neuron = config.neuron
    if not (sees_later_timesteps(neuron) or neuron.name_of_choice in MEANS_OVER_TIME):
        return
    for name, part in data.parts.items():
        if part.lengths is not None and bool((part.lengths < config.timesteps).any()):
            shorter = f"samples of the {name} part are shorter than {config.timesteps} timesteps"
            raise ConfigError(
                f"neuron={neuron.name_of_choice} sees later timesteps, and {shorter}: their padding would change the "
                "result; use neuron=sliding_psn, or masked_psn with neuron.lambda_init=1"
            )


def sees_later_timesteps(neuron: Neuron) -> bool:
    """Return whether a neuron's outputs depend on timesteps that follow."""
    return isinstance(neuron, PSN) or (isinstance(neuron, MaskedPSN) and neuron.lambda_init < 1)
