"""Warn of settings for which a run is too short, and of those that a schedule overrules."""

from collections.abc import Iterator
from math import ceil, prod

from membrane.data.feed.batch import batch_sizes
from membrane.schema import Config
from membrane.schema.optimizer import Cosine, Milestones, OneCycle, Step
from membrane.schema.training import EMA, ConstantEMA
from membrane.training.averaging import warmed_decay

MOSTLY_INITIAL = 0.1
"""The weight of its first entry above which a moving average is worth a warning."""
WARMED = 100
"""Updates after which the first entry of an average whose decay warms up weighs nothing."""


def length_warnings(config: Config, samples: int) -> Iterator[str]:
    """Yield a line for each setting that needs a longer run, trained on so many samples an epoch."""
    batches = len(batch_sizes(samples, config.batch_size, config.trainer.last_batch))
    steps = config.epochs * ceil(batches / config.trainer.accumulate)
    for name, node in config.callbacks.items():
        if isinstance(node, EMA) and (line := ema_warning(node, steps)) is not None:
            yield f"callbacks.{name}{line}"
    yield from schedule_warnings(config, steps)


def schedule_warnings(config: Config, steps: int) -> Iterator[str]:
    """Yield a line for each setting of the schedule that does not take effect as it stands in so many steps."""
    scheduler, warmup = config.scheduler, config.scheduler.warmup
    if scheduler.interval == "epoch" and warmup != round(warmup):
        way_out = "" if scheduler.follows else "; scheduler.interval=step takes it exactly"
        yield f"scheduler.warmup={warmup:g} is rounded to {round(warmup)} epochs{way_out}"
    if warmup >= config.epochs:
        yield (
            f"scheduler.warmup={warmup:g} takes all of epochs={config.epochs}: "
            "the learning rate only rises, and never stays at optimizer.lr"
        )
    by_step = scheduler.interval == "step"
    length, unit = (steps, "steps") if by_step else (config.epochs, "epochs")
    if isinstance(scheduler, Milestones) and scheduler.milestones[-1] >= length:
        yield f"scheduler.milestones={scheduler.milestones}: the last is not reached in {length} {unit}"
    if isinstance(scheduler, Step) and scheduler.step_size >= length * (1 - warmup / config.epochs):
        yield f"scheduler.step_size={scheduler.step_size} is not reached in {length} {unit}: the rate stays as it is"
    fall = length * (1 - warmup / config.epochs)
    if isinstance(scheduler, Cosine) and scheduler.T_max is not None and scheduler.T_max < round(fall):
        yield (
            f"scheduler.T_max={scheduler.T_max} {unit} are over before the run: the rate rises again after them; "
            f"without scheduler.T_max it falls until the end"
        )
    yield from momentum_warnings(config)


def momentum_warnings(config: Config) -> Iterator[str]:
    """Yield a line if the schedule replaces the optimiser's momentum by one that is not near it."""
    scheduler, optimizer = config.scheduler, config.optimizer
    if not isinstance(scheduler, OneCycle) or not scheduler.cycle_momentum:
        return
    low, high = scheduler.base_momentum, scheduler.max_momentum
    set_to = {"momentum": getattr(optimizer, "momentum", None), "betas": getattr(optimizer, "betas", None)}
    for name, value in set_to.items():
        momentum = value[0] if isinstance(value, list) else value
        if momentum is not None and not low <= momentum <= high:
            yield (
                f"scheduler=one_cycle cycles the momentum between {low:g} and {high:g}, optimizer.{name}={value} "
                "has no effect: scheduler.cycle_momentum=false leaves it as it is"
            )


def ema_warning(ema: EMA, steps: int) -> str | None:
    """Return what is wrong with a moving average over so many optimiser steps, None if nothing is."""
    if (ema.update_starting_at_step or 0) >= steps:
        return f".update_starting_at_step={ema.update_starting_at_step}: nothing is averaged in {steps} steps"
    share = initial_share(ema, steps)
    if share <= MOSTLY_INITIAL:
        return None
    way_out = "lower callbacks.ema.decay or train longer" if isinstance(ema, ConstantEMA) else "train longer"
    return (
        f": {100 * share:.0f} % of the average after {steps} steps is still the weights of its beginning "
        f"(decay={ema.decay:g}): {way_out}"
    )


def initial_share(ema: EMA, steps: int) -> float:
    """Return the weight that the first averaged weights have in the average after so many optimiser steps, in [0,1].

    The first update copies the weights, every further one multiplies their share by the decay.
    """
    every = ema.update_every_n_steps
    updates = len(range(ceil((ema.update_starting_at_step or 0) / every) * every, steps, every))
    if isinstance(ema, ConstantEMA):
        return float(ema.decay ** max(updates - 1, 0))
    share = prod(warmed_decay(ema.decay, update) for update in range(1, min(updates, WARMED)))
    return share * ema.decay ** max(updates - WARMED, 0)


def average_is_young(config: Config, steps: int) -> bool:
    """Return whether what is evaluated after so many optimiser steps is mostly weights of the beginning.

    An average whose decay warms up is not evaluated before it begins; Lightning's is, and is the initial weights then.
    """
    averages = [node for node in config.callbacks.values() if isinstance(node, EMA)]
    return any(
        initial_share(ema, steps) > MOSTLY_INITIAL
        for ema in averages
        if isinstance(ema, ConstantEMA) or steps > (ema.update_starting_at_step or 0)
    )
