"""What can be said in a configuration: every setting with its type and default, without importing torch."""

from typing import Any, Literal

from pydantic import Field, PositiveInt, SerializeAsAny, field_validator

from membrane.schema.augmentation import AUGMENTATIONS, Augmentation
from membrane.schema.dataset import DATASETS, Dataset
from membrane.schema.duration import seconds
from membrane.schema.model import MODELS, Model
from membrane.schema.neuron import NEURONS, Neuron
from membrane.schema.node import LATER, UNSHAPING, Count, Node, Settings, Trusted
from membrane.schema.optimizer import OPTIMIZERS, SCHEDULERS, Optimizer, Scheduler
from membrane.schema.surrogate import SURROGATES, Surrogate
from membrane.schema.training import (
    CALLBACKS,
    FRAMEWORKS,
    LOGGERS,
    LOSSES,
    READOUTS,
    REGULARIZERS,
    Callback,
    Framework,
    Logger,
    Loss,
    Readout,
    Regularizer,
    Trainer,
)
from membrane.schema.zoo import ZOO

__all__ = ["GROUPS", "MANY", "Config", "Debug", "Node", "Paths", "Settings", "Trusted"]

GROUPS: dict[str, tuple[type[Node], tuple[type[Node], ...]]] = {
    "dataset": (Dataset, DATASETS),
    "model": (Model, (*MODELS, *ZOO)),
    "neuron": (Neuron, NEURONS),
    "surrogate": (Surrogate, SURROGATES),
    "augmentation": (Augmentation, AUGMENTATIONS),
    "readout": (Readout, READOUTS),
    "loss": (Loss, LOSSES),
    "regularizer": (Regularizer, REGULARIZERS),
    "optimizer": (Optimizer, OPTIMIZERS),
    "scheduler": (Scheduler, SCHEDULERS),
    "callbacks": (Callback, CALLBACKS),
    "logger": (Logger, LOGGERS),
    "framework": (Framework, FRAMEWORKS),
}
"""Group → (what its choices have in common, its choices): the written list of what may be instantiated."""

MANY = ("augmentation", "callbacks")
"""Groups of which several choices may be made: a mapping name → node, in order."""


class Paths(Settings):
    """Where data is found, where runs go; ``run`` names one run's folder outright."""

    data: str = "data"
    runs: str = "runs"
    run: str | None = None


class Init(Settings):
    """The weights that a run starts from: a run folder or a checkpoint, without the modules that ``skip`` names.

    ``sha256`` is the checkpoint's digest, worked out from the file unless it is said; the path is not what counts.
    """

    path: str = UNSHAPING()
    skip: list[str] = []
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Extend(Settings):
    """The finished run that is continued as this one; ``sha256`` is its last checkpoint's digest."""

    path: str = UNSHAPING()
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Debug(Settings):
    """A run that leaves no result: at most ``batches`` of each part, or training on ``overfit`` batches alone."""

    batches: PositiveInt | None = None
    overfit: PositiveInt | None = None


class Config(Settings):
    """One experiment, whole."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: Count = 0
    timesteps: PositiveInt = 4
    epochs: PositiveInt = 20
    batch_size: PositiveInt = 64
    protocol: Literal["val_best", "last", "paper_best_on_test"] = "val_best"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: PositiveInt = 2
    log_every: PositiveInt = 10
    save_outputs: Literal["readout", "all"] = "readout"
    figures: bool = UNSHAPING(default=True)
    rerun: bool = False
    keep_going: bool = False
    max_time: str | None = UNSHAPING(default=None)
    trust: list[str] = []
    on_oom: Literal["fail", "halve"] = LATER(default="fail")
    paths: Paths = Paths()
    dataset: SerializeAsAny[Dataset]
    model: SerializeAsAny[Model]
    neuron: SerializeAsAny[Neuron]
    surrogate: SerializeAsAny[Surrogate] | None
    augmentation: dict[str, SerializeAsAny[Augmentation]] = {}
    readout: SerializeAsAny[Readout]
    loss: SerializeAsAny[Loss]
    regularizer: SerializeAsAny[Regularizer] | None = Field(default=None, json_schema_extra={"later": True})
    optimizer: SerializeAsAny[Optimizer]
    scheduler: SerializeAsAny[Scheduler]
    trainer: Trainer = Trainer()
    callbacks: dict[str, SerializeAsAny[Callback]] = {}
    logger: SerializeAsAny[Logger] | None = None
    framework: SerializeAsAny[Framework]
    debug: Debug | None = None
    init: Init | None = LATER(default=None)
    extend: Extend | None = LATER(default=None)

    @field_validator("max_time", mode="before")
    @classmethod
    def is_a_time(cls, said: Any) -> Any:
        """Refuse what is no time, a number without its unit too."""
        if said is not None:
            seconds(str(said))
        return said
