"""Refusals of what does not go together in training: losses, what is monitored, schedules."""

from collections.abc import Callable

from membrane.schema import Config
from membrane.schema.optimizer import SGD, TRAINING_LOSS
from membrane.schema.training import EarlyStop
from membrane.scores import MONITORS, score_of


def refuse_nesterov(config: Config) -> str | None:
    """Refuse Nesterov's momentum without momentum, or with dampening."""
    optimizer = config.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov and not (optimizer.momentum > 0 and optimizer.dampening == 0):
        return "optimizer.nesterov=true needs optimizer.momentum above 0 and optimizer.dampening=0"
    return None


def refuse_loss(config: Config) -> str | None:
    """Refuse a loss that is not for the data set's task."""
    name, task, tasks = config.dataset.name, config.dataset.task, config.loss.tasks
    if task in tasks:
        return None
    return f"loss={config.loss.name_of_choice} is for {' and '.join(tasks)}, dataset {name} is {task}: use loss=mse"


def refuse_monitor(config: Config) -> str | None:
    """Refuse to watch a metric that is not measured in the data set's task."""
    task = config.dataset.task
    for path, metric in monitors(config).items():
        if metric not in MONITORS[task]:
            measured = f"not measured in {task} (dataset {config.dataset.name})"
            return f"{path}.monitor={metric}: {measured}; use one of {', '.join(MONITORS[task])}"
    return None


def refuse_early_stop_mode(config: Config) -> str | None:
    """Refuse to stop a run because a metric gets better."""
    for path, stop in early_stops(config).items():
        right, moves = ("min", "falls") if score_of(stop.monitor).lower_is_better else ("max", "rises")
        if stop.mode != right:
            return f"{path}.mode={stop.mode} would stop because {stop.monitor} {moves}: use {path}.mode={right}"
    return None


def refuse_early_stop_without_validation(config: Config) -> str | None:
    """Refuse a callback that watches validation under a protocol without one."""
    if config.protocol != "val_best" and early_stops(config):
        return f"callbacks: early_stop watches validation, of which protocol={config.protocol} has none"
    return None


def refuse_schedule_without_validation(config: Config) -> str | None:
    """Refuse a schedule that follows validation under a protocol without one."""
    metric = config.scheduler.follows
    if metric in (None, TRAINING_LOSS) or config.protocol == "val_best":
        return None
    watched = f"scheduler.monitor={metric} is measured in validation, of which protocol={config.protocol} has none"
    return f"{watched}: use scheduler.monitor={TRAINING_LOSS}"


def refuse_following_by_step(config: Config) -> str | None:
    """Refuse to step a schedule that follows a metric more often than the metric is measured."""
    if config.scheduler.follows is None or config.scheduler.interval == "epoch":
        return None
    return "scheduler.interval=step: a schedule that follows a metric steps by epoch: use scheduler.interval=epoch"


def refuse_cosine_of_delays(config: Config) -> str | None:
    """Refuse a cosine for delays that have no rate of their own, or beside a schedule whose length is not known."""
    if config.scheduler.delays == "alike":
        return None
    if config.optimizer.lr_delay is None:
        return "scheduler.delays=cosine scales the rate of delays, of which there is none: add optimizer.lr_delay=0.1"
    if config.scheduler.follows is not None:
        follows = f"scheduler={config.scheduler.name_of_choice} follows a metric"
        return f"scheduler.delays=cosine falls over the steps of a schedule, {follows}: leave it out"
    return None


def refuse_finish_of_debug_run(config: Config) -> str | None:
    """Refuse to end a debug run, which leaves no result."""
    return "finish=true: a debug run leaves no result" if config.finish and config.debug is not None else None


def refuse_recomputation(config: Config) -> str | None:
    """Refuse to run chunks of timesteps again where something keeps the gradient of all of them, or none."""
    chunks, neuron = config.trainer.recompute, config.neuron
    if chunks is None:
        return None
    line = f"trainer.recompute={chunks} runs timesteps again for their gradient"
    if config.trainer.compile:
        return f"{line}, a compiled model does not: use trainer.compile=false"
    if config.regularizer is not None:
        return f"{line}, regularizer={config.regularizer.name_of_choice} needs it at all of them: leave one out"
    if neuron.steps == "together":
        return f"{line}, neuron={neuron.name_of_choice} needs all of them together: leave it out or use another neuron"
    if neuron.steps == "online":
        return f"{line}, neuron={neuron.name_of_choice} has none through time: leave it out"
    return None


TRAINING_RULES: tuple[Callable[[Config], str | None], ...] = (
    refuse_nesterov,
    refuse_loss,
    refuse_monitor,
    refuse_early_stop_mode,
    refuse_early_stop_without_validation,
    refuse_schedule_without_validation,
    refuse_following_by_step,
    refuse_cosine_of_delays,
    refuse_finish_of_debug_run,
    refuse_recomputation,
)
"""These rules, in the order in which they are asked."""


def monitors(config: Config) -> dict[str, str | None]:
    """Return the scores of validation that a run selects, stops or lowers its rate by, by path in the configuration."""
    scores: dict[str, str | None] = {path: stop.monitor for path, stop in early_stops(config).items()}
    if config.protocol == "val_best":
        scores["trainer"] = config.trainer.monitor
    if config.scheduler.follows not in (None, TRAINING_LOSS):
        scores["scheduler"] = config.scheduler.follows
    return scores


def early_stops(config: Config) -> dict[str, EarlyStop]:
    """Return the callbacks that stop a run, by their path in the configuration."""
    return {f"callbacks.{key}": each for key, each in config.callbacks.items() if isinstance(each, EarlyStop)}
