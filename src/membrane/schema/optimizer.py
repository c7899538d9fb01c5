"""Optimisers, which change the weights, and schedules of their learning rate."""

from typing import Any, Literal

from pydantic import Field, PositiveInt

from membrane.schema.node import Fraction, Node, NotNegative, Positive


class Optimizer(Node):
    """An optimiser of torch."""

    lr: Positive = 1e-3


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

    def parameters(self) -> dict[str, Any]:
        """Return the schedule's own arguments, without how often it steps and the rise before it."""
        return {key: value for key, value in super().parameters().items() if key not in ("interval", "warmup")}


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


class Exponential(Scheduler):
    choice = "exponential"
    public = "torch.optim.lr_scheduler.ExponentialLR"
    gamma: Positive


class OneCycle(Scheduler):
    choice = "one_cycle"
    public = "torch.optim.lr_scheduler.OneCycleLR"
    interval: Literal["step"] = "step"
    warmup: Literal[0] = 0
    max_lr: Positive
    pct_start: float = Field(default=0.3, ge=0, lt=1)


SCHEDULERS = (Constant, Cosine, Step, Exponential, OneCycle)
