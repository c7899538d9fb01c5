"""Warn of settings for which a run is too short."""

from collections.abc import Iterator
from math import ceil

from membrane.schema import Config
from membrane.schema.training import EMA

MOSTLY_INITIAL = 0.1
"""The weight of its first entry above which a moving average is worth a warning."""


def length_warnings(config: Config, samples: int) -> Iterator[str]:
    """Yield a line for each setting that needs a longer run, trained on so many samples an epoch."""
    steps = config.epochs * ceil(ceil(samples / config.batch_size) / config.trainer.accumulate)
    for node in config.callbacks.values():
        if isinstance(node, EMA) and (share := initial_share(node, steps)) > MOSTLY_INITIAL:
            yield (
                f"callbacks.ema: {100 * share:.0f} % of the average after {steps} steps is still the weights of its "
                f"beginning (decay={node.decay:g}): lower callbacks.ema.decay or train longer"
            )
    if config.scheduler.warmup >= config.epochs:
        yield (
            f"scheduler.warmup={config.scheduler.warmup:g} takes all of epochs={config.epochs}: "
            "the learning rate only rises, and never stays at optimizer.lr"
        )


def initial_share(ema: EMA, steps: int) -> float:
    """Return the weight that the first averaged weights have in the average after so many optimiser steps, in [0,1].

    The first update copies the weights, every further one multiplies their share by the decay.
    """
    first = ema.update_starting_at_step or 0
    every = ema.update_every_n_steps
    updates = len(range(ceil(first / every) * every, steps, every))
    return float(ema.decay ** max(updates - 1, 0))
