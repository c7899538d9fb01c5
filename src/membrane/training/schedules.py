"""Learning-rate schedules of torch with a linear rise before them, stepped by step or by epoch."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, SupportsFloat

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from membrane.config.admission import admitted_class
from membrane.config.build import build_instance
from membrane.errors import ConfigError
from membrane.schema import Config, Trusted
from membrane.schema.optimizer import Scheduler, improvement_mode


class RiseThenPlateau:
    """A linear rise over ``warmup`` epochs, then a schedule that follows a metric and sees it from there on.

    torch's SequentialLR refuses such a schedule.
    """

    def __init__(self, plateau: ReduceLROnPlateau, warmup: int) -> None:
        self.optimizer = plateau.optimizer
        self.plateau = plateau
        self.warmup = warmup
        self.epochs = 0
        self.top = [group["lr"] for group in self.optimizer.param_groups]
        self.rise()

    def rise(self) -> None:
        """Set the rate of an epoch within the rise, or of the first one behind it."""
        for group, top in zip(self.optimizer.param_groups, self.top, strict=True):
            group["lr"] = top * (self.epochs + 1) / (self.warmup + 1)

    def step(self, metric: SupportsFloat) -> None:
        """Set the rate of the next epoch, after one with this metric."""
        self.epochs += 1
        if self.epochs <= self.warmup:
            self.rise()
        else:
            self.plateau.step(metric)

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far and the state of the schedule behind the rise."""
        return {"epochs": self.epochs, "plateau": self.plateau.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the epochs so far and the state of the schedule behind the rise."""
        self.epochs = state_dict["epochs"]
        self.plateau.load_state_dict(state_dict["plateau"])


def build_schedule(config: Config, optimizer: Optimizer, steps: int, epochs: int) -> dict[str, Any]:
    """Build the schedule, over ``steps`` or ``epochs`` as the configuration counts, as Lightning describes one."""
    node = config.scheduler
    delays = [group["lr"] for group in optimizer.param_groups if group.get("delays")]
    per_epoch = steps / epochs if node.interval == "step" else 1
    length, warmup = steps if node.interval == "step" else epochs, round(node.warmup * per_epoch)
    build_scheduler: Callable[..., LRScheduler] = admitted_class(node.target, config.trust)
    settings = node.parameters()
    if isinstance(node, Trusted):
        build_scheduler, settings = partial(build_own_scheduler, node, config.trust, max(1, length - warmup)), {}
    scheduler = schedule(optimizer, build_scheduler, settings, length=length, warmup=warmup)
    if node.delays == "cosine":
        let_delays_fall(optimizer, scheduler, delays, length)
    monitored = {} if node.follows is None else {"monitor": node.follows, "reduce_on_plateau": True}
    return {"scheduler": scheduler, "interval": node.interval, **monitored}


def let_delays_fall(optimizer: Optimizer, scheduler: Any, rates: Sequence[float], length: int) -> None:
    """Let every step begin by setting the ``rates`` of learned delays to where a cosine has fallen, 0 at ``length``.

    The steps of the schedule count, which it keeps over a break, and this after `keep_ratios`.
    """

    def fall(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        share = (1 + math.cos(math.pi * min(scheduler.last_epoch, length) / length)) / 2
        groups = [group for group in optimizer.param_groups if group.get("delays")]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * share

    optimizer.register_step_pre_hook(fall)


def schedule(
    optimizer: Optimizer,
    scheduler_class: Callable[..., LRScheduler],
    settings: dict[str, Any],
    *,
    length: int,
    warmup: int = 0,
) -> LRScheduler | RiseThenPlateau:
    """Build a schedule over ``length`` steps (or epochs), the first ``warmup`` of them a linear rise.

    The rise goes from lr/(warmup+1) to lr. A cosine without ``T_max`` ends with the training; a one-cycle schedule
    always does. Milestones are counted from the beginning of the rise, and take effect behind it.
    """
    settings = dict(settings)
    if scheduler_class is MultiStepLR:
        settings["milestones"] = [max(0, milestone - warmup) for milestone in settings["milestones"]]
    if scheduler_class is CosineAnnealingLR and settings.get("T_max") is None:
        settings["T_max"] = max(1, length - warmup)
    if scheduler_class is OneCycleLR:
        settings["total_steps"] = length
        if settings.get("pct_start", 0.0) * length == 1:  # torch would divide by a rise of 0 steps
            settings["pct_start"] *= 1 - 1e-12
    after = scheduler_class(optimizer, **settings)
    if warmup == 0:
        return after
    if isinstance(after, ReduceLROnPlateau):
        return RiseThenPlateau(after, warmup)
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, after], milestones=[warmup])


def build_own_scheduler(node: Scheduler, trust: Sequence[str], length: int, optimizer: Optimizer) -> LRScheduler:
    """Build a user's schedule. Raises ConfigError as `build_instance`, and if it follows a metric that is not named.

    If its constructor takes them and they are not set, it receives its ``length`` in steps or epochs, and ``mode``, the
    direction in which the metric that it follows improves.
    """
    arguments: dict[str, Any] = {"length": length}
    if node.follows is not None:
        arguments["mode"] = improvement_mode(node.follows)
    unset = signature(admitted_class(node.target, trust)).parameters.keys() - node.parameters().keys()
    arguments = {name: value for name, value in arguments.items() if name in unset}
    scheduler = build_instance(LRScheduler, node, trust, optimizer=optimizer, **arguments)
    if isinstance(scheduler, ReduceLROnPlateau) and node.follows is None:
        raise ConfigError(f"{node.target} follows a metric: say which, as scheduler.monitor=val/loss")
    if node.follows is not None and not isinstance(scheduler, ReduceLROnPlateau):
        way_out = "leave scheduler.monitor out, or inherit from torch.optim.lr_scheduler.ReduceLROnPlateau"
        raise ConfigError(f"{node.target} follows no metric: {way_out}")
    return scheduler
