"""Learning-rate schedules of torch with a linear rise before them, stepped by step or by epoch."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from membrane.config.admission import admitted_class
from membrane.config.build import build_instance
from membrane.errors import ConfigError
from membrane.schema.optimizer import Scheduler


def schedule(
    optimizer: Optimizer,
    scheduler_class: Callable[..., LRScheduler],
    settings: dict[str, Any],
    *,
    length: int,
    warmup: int = 0,
) -> LRScheduler:
    """Build a schedule over ``length`` steps (or epochs), the first ``warmup`` of them a linear rise.

    The rise goes from lr/(warmup+1) to lr. A cosine without ``T_max`` ends with the training; a one-cycle schedule
    always does.
    """
    settings = dict(settings)
    if scheduler_class is CosineAnnealingLR and settings.get("T_max") is None:
        settings["T_max"] = max(1, length - warmup)
    if scheduler_class is OneCycleLR:
        settings["total_steps"] = length
        if settings.get("pct_start", 0.0) * length == 1:  # torch would divide by a rise of 0 steps
            settings["pct_start"] *= 1 - 1e-12
    after = scheduler_class(optimizer, **settings)
    if warmup == 0:
        return after
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, after], milestones=[warmup])


def build_own_scheduler(node: Scheduler, trust: Sequence[str], length: int, optimizer: Optimizer) -> LRScheduler:
    """Build a user's schedule, with its ``length`` in steps or epochs if its constructor takes that and it is not set.

    Raises ConfigError as `build_instance`, and for one that follows a metric.
    """
    takes_length = "length" in signature(admitted_class(node.target, trust)).parameters
    arguments = {"length": length} if takes_length and "length" not in node.parameters() else {}
    scheduler = build_instance(LRScheduler, node, trust, optimizer=optimizer, **arguments)
    if isinstance(scheduler, ReduceLROnPlateau):
        raise ConfigError(f"{node.target}: a schedule that follows a metric, as ReduceLROnPlateau, is not possible")
    return scheduler
