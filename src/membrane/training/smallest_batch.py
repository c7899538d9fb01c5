"""Refuse, before training, batches of one sample in a model that needs two, as batch norm can."""

import torch

from membrane.data.feed.batch import batch_sizes
from membrane.errors import ConfigError
from membrane.framework import Framework
from membrane.randomness import scoped
from membrane.schema import Config
from membrane.training.assembly import build_model

TOO_FEW_VALUES = "Expected more than 1 value per channel"
"""The error of torch's norms for a single value."""


def refuse_batch_of_one(config: Config, framework: Framework, samples: int, shape: list[int], pieces: int) -> None:
    """Raise ConfigError if an epoch has a batch of one sample, of which the model's norms cannot take statistics.

    Else the run would fail at that batch, as a rule the last one of its first epoch.

    Arguments:
        config: gives the model and the sizes of batches.
        framework: calls the model.
        samples: of the training part.
        shape: of a sample's x, [C,…] or with timesteps in the data [T,C,…].
        pieces: parts in which each batch comes.
    """
    sizes = batch_sizes(samples, config.batch_size, config.trainer.last_batch)
    sizes = sizes[: config.debug.batches] if config.debug is not None else sizes
    smallest = [max(1, size // pieces) for size in sizes]
    if min(smallest) > 1 or trains_on_one_sample(config, framework, shape):
        return
    needs = "for which a norm of the model has no statistics"
    if smallest[0] > 1:
        one = f"has one of the {samples} samples" if sizes[-1] == 1 else "comes in pieces of one sample"
        raise ConfigError(
            f"the last batch of an epoch {one}, {needs}: trainer.last_batch=drop leaves it out, "
            "trainer.last_batch=join adds it to the one before"
        )
    if pieces > 1:
        raise ConfigError(f"pieces of one sample, {needs}, are all that fits the memory: use a smaller model")
    raise ConfigError(f"batch_size={config.batch_size} makes batches of one sample, {needs}: use a larger batch_size")


def trains_on_one_sample(config: Config, framework: Framework, shape: list[int]) -> bool:
    """Return whether the model, a fresh one, takes one sample in training."""
    trainer = config.trainer.model_copy(update={"compile": False})
    model = build_model(config.model_copy(update={"trainer": trainer})).train()
    try:
        with scoped(config.seed, "probe"):
            framework(model, torch.zeros(1, *shape))
    except ValueError as error:
        return not str(error).startswith(TOO_FEW_VALUES)
    return True
