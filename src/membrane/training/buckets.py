"""Refusals of what takes no batches of fewer timesteps: those of `trainer.buckets`, and subsets of timesteps."""

import torch

from membrane.analysis.listening import observing
from membrane.config.admission import admitted_class
from membrane.data.feed.module import DataModule
from membrane.errors import ConfigError, one_line
from membrane.learner import Learner
from membrane.neurons import accepted_parameters
from membrane.schema import Config
from membrane.schema.timesteps_refusals import cause_of_fewer_timesteps


def refuse_fixed_timesteps(config: Config, learner: Learner, x: torch.Tensor) -> None:
    """Raise ConfigError if batches shall have fewer timesteps than T, and neuron or model take no fewer.

    x [N,T,…] is an example of what the framework gets.
    """
    fewer = cause_of_fewer_timesteps(config)
    if fewer is None:
        return
    if "T" in accepted_parameters(admitted_class(config.neuron.target, config.trust)):
        name = config.neuron.name_of_choice
        raise ConfigError(
            f"{fewer}, neuron={name} is built for just as many: use another, as neuron=lif, or leave it out"
        )
    x = x[:, : max(1, config.timesteps - 1)]
    try:
        with observing(learner.model):
            learner.framework(learner.model, x, torch.full((len(x),), x.shape[1]))
    except Exception as error:  # of a model of the user's own
        raise ConfigError(f"{fewer}, which the model does not take ({one_line(error)}): leave it out") from None


def refuse_buckets_without_lengths(config: Config, data: DataModule) -> None:
    """Raise ConfigError if training samples shall be sorted by length and have none."""
    if config.trainer.buckets is not None and data.parts["train"].lengths is None:
        buckets = f"trainer.buckets={config.trainer.buckets} sorts samples by length"
        raise ConfigError(f"{buckets}, dataset {config.dataset.name} gives no lengths: leave it out")
