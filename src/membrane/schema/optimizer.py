"""Optimisers, which change the weights, and schedules of their learning rate."""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.node import LATER, Count, Fraction, Node, NotNegative, Positive
from membrane.scores import MONITORS, score_of

DECAYED = "all, or weights: neither biases nor norms nor delays, nor anything that neurons learn"
SCALED = "null is lr, 0 leaves them as they begin; schedules scale all rates alike"
DELAYS = "optimizer.lr_delay is scaled as the others, or falls along a cosine of its own over the whole run"
TRAINING_LOSS = "train/loss"
"""What a schedule can follow besides the scores of validation: the loss of the epoch's training samples."""
if TYPE_CHECKING:  # a Literal of names from a table is for pydantic only
    Followed = str
else:
    Followed = Literal[(TRAINING_LOSS, *dict.fromkeys(key for keys in MONITORS.values() for key in keys))]


class Optimizer(Node):
    """An optimiser of torch.

    A schedule scales ``lr``, ``lr_tau``, ``lr_threshold`` and ``lr_delay`` alike: what it makes of ``lr`` is the column
    `lr` of metrics.csv. Which parameters are time constants and thresholds says `neurons.learned`.
    """

    lr: Positive = 1e-3
    weight_decay_on: Literal["all", "weights"] = LATER("all", description=DECAYED)
    lr_tau: NotNegative | None = LATER(default=None, description=f"rate of time constants that neurons learn; {SCALED}")
    lr_threshold: NotNegative | None = LATER(default=None, description=f"rate of learned thresholds; {SCALED}")
    lr_delay: NotNegative | None = LATER(default=None, description=f"rate of learned delays; {SCALED}")

    def parameters(self) -> dict[str, Any]:
        """Return the optimiser's own arguments, without what divides parameters into groups."""
        grouping = ("weight_decay_on", "lr_tau", "lr_threshold", "lr_delay")
        return {key: value for key, value in super().parameters().items() if key not in grouping}

    def hashed_values(self) -> dict[str, Any]:
        """Return ``weight_decay_on`` as its default where there is no weight decay."""
        return {"weight_decay_on": "all"} if getattr(self, "weight_decay", None) == 0 else {}


class SGD(Optimizer):
    choice = "sgd"
    public = "torch.optim.SGD"
    defined = "torch.optim.sgd.SGD"
    momentum: NotNegative = 0.0
    dampening: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    nesterov: bool = False


class Adam(Optimizer):
    choice = "adam"
    public = "torch.optim.Adam"
    defined = "torch.optim.adam.Adam"
    betas: list[Fraction] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    amsgrad: bool = False


class AdamW(Optimizer):
    choice = "adamw"
    public = "torch.optim.AdamW"
    defined = "torch.optim.adamw.AdamW"
    betas: list[Fraction] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.01
    amsgrad: bool = False


class RMSprop(Optimizer):
    choice = "rmsprop"
    public = "torch.optim.RMSprop"
    defined = "torch.optim.rmsprop.RMSprop"
    lr: Positive = 1e-2
    alpha: Fraction = 0.99
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    centered: bool = False


OPTIMIZERS = (SGD, Adam, AdamW, RMSprop)


class Scheduler(Node):
    """A learning-rate schedule, stepped by ``step`` or by ``epoch``, after ``warmup`` epochs of linear rise."""

    interval: Literal["step", "epoch"] = "epoch"
    warmup: NotNegative = 0.0
    delays: Literal["alike", "cosine"] = LATER(default="alike", description=DELAYS)

    @property
    def follows(self) -> str | None:
        """Return the metric that decides when the rate falls, None for a schedule that follows none."""
        return getattr(self, "monitor", None)

    def parameters(self) -> dict[str, Any]:
        """Return the schedule's own arguments, without when it steps, what goes before or beside, what it follows."""
        shared = ("interval", "warmup", "delays", "monitor")
        return {key: value for key, value in super().parameters().items() if key not in shared}


class Constant(Scheduler):
    choice = "constant"
    public = "torch.optim.lr_scheduler.ConstantLR"
    factor: Positive = 1.0


class Cosine(Scheduler):
    choice = "cosine"
    public = "torch.optim.lr_scheduler.CosineAnnealingLR"
    T_max: PositiveInt | None = None
    eta_min: NotNegative = 0.0


class Step(Scheduler):
    choice = "step"
    public = "torch.optim.lr_scheduler.StepLR"
    step_size: PositiveInt
    gamma: Positive = 0.1


class Milestones(Scheduler):
    """Multiplies the rate by ``gamma`` at each of the ``milestones``: epochs, or steps, with those of the warm-up."""

    choice = "multistep"
    public = "torch.optim.lr_scheduler.MultiStepLR"
    milestones: list[PositiveInt] = Field(min_length=1)
    gamma: Positive = 0.1

    @model_validator(mode="after")
    def milestones_rise(self) -> Self:
        """Reject milestones that are not in order, or there twice."""
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"milestones={self.milestones} must rise")
        return self


class Exponential(Scheduler):
    choice = "exponential"
    public = "torch.optim.lr_scheduler.ExponentialLR"
    gamma: Positive


class OneCycle(Scheduler):
    """Cycles momentum (β₁ of Adam) too, from ``max_momentum`` to ``base_momentum`` and back, unless told not to.

    The optimiser's own momentum then has no effect, an RMSprop or SGD without momentum gets one.
    """

    choice = "one_cycle"
    public = "torch.optim.lr_scheduler.OneCycleLR"
    interval: Literal["step"] = "step"
    warmup: Literal[0] = 0
    max_lr: Positive
    pct_start: float = Field(default=0.3, ge=0, lt=1)
    cycle_momentum: bool = LATER(default=True)
    base_momentum: float = LATER(default=0.85, ge=0, lt=1)
    max_momentum: float = LATER(default=0.95, ge=0, lt=1)

    @model_validator(mode="after")
    def momenta_in_order(self) -> Self:
        """Reject a lowest momentum above the highest."""
        if self.base_momentum > self.max_momentum:
            raise ValueError(f"base_momentum={self.base_momentum} must not lie above max_momentum={self.max_momentum}")
        return self


class Plateau(Scheduler):
    """Multiplies the rate by ``factor`` when ``monitor`` has not improved for more than ``patience`` epochs.

    A score improves when it passes its best by the ``threshold``, a share of that (``rel``) or as it stands (``abs``).
    Epochs are not counted during the warm-up, nor for ``cooldown`` epochs after a reduction. The rate stays at
    ``min_lr`` or above; a reduction of less than ``eps`` is left out. With ``callbacks=ema`` validation, and so the
    schedule, sees the averaged weights. `train/loss` is the mean over the epoch's samples, as in its line of run.log.
    """

    choice = "plateau"
    public = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    interval: Literal["epoch"] = "epoch"
    monitor: Followed = "val/loss"
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: Count = 10
    threshold: NotNegative = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Count = 0
    min_lr: NotNegative = 0.0
    eps: NotNegative = 1e-8

    def parameters(self) -> dict[str, Any]:
        """Return the schedule's own arguments, with the direction in which the monitored score improves."""
        return {**super().parameters(), "mode": improvement_mode(self.monitor)}


def improvement_mode(monitor: str) -> str:
    """Return ``min`` for a score of which the smallest value is the best, else ``max``."""
    return "min" if score_of(monitor).lower_is_better else "max"


SCHEDULERS = (Constant, Cosine, Step, Milestones, Exponential, OneCycle, Plateau)
