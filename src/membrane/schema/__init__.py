"""The settings of a configuration, each with its type and default, without importing torch.

The ``description`` of a setting is its line in `--help`.
"""

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, SerializeAsAny, field_validator

from membrane.schema.augmentation import AUGMENTATIONS, Augmentation
from membrane.schema.dataset import DATASETS, Dataset, Digits
from membrane.schema.duration import duration_seconds
from membrane.schema.encoder import ENCODERS, Encoder, Lines
from membrane.schema.environment import NOTHING, FromEnvironment
from membrane.schema.event_datasets import EVENT_DATASETS, DigitsEvents
from membrane.schema.framework import FRAMEWORKS, Framework
from membrane.schema.image_datasets import IMAGE_DATASETS
from membrane.schema.model import MODELS, Model
from membrane.schema.neuron import NEURONS, Neuron
from membrane.schema.neuron_variants import VARIANTS
from membrane.schema.node import LATER, UNSHAPING, Count, Node, Settings, Trusted
from membrane.schema.optimizer import OPTIMIZERS, SCHEDULERS, Optimizer, Scheduler
from membrane.schema.paper import Paper
from membrane.schema.sound_datasets import SOUND_DATASETS
from membrane.schema.surrogate import SURROGATES, Surrogate
from membrane.schema.temporal_augmentation import TEMPORAL
from membrane.schema.training import (
    CALLBACKS,
    LOGGERS,
    LOSSES,
    READOUTS,
    REGULARIZERS,
    Callback,
    Logger,
    Loss,
    Readout,
    Regularizer,
    Trainer,
)
from membrane.schema.zoo import ZOO

__all__ = ["GROUPS", "MANY", "Config", "Debug", "Node", "Paths", "Settings", "Trusted"]

GROUPS: dict[str, tuple[type[Node], tuple[type[Node], ...]]] = {
    "dataset": (Dataset, (Digits, DigitsEvents, *DATASETS, *IMAGE_DATASETS, *EVENT_DATASETS, *SOUND_DATASETS)),
    "model": (Model, (*MODELS, *ZOO)),
    "neuron": (Neuron, (*NEURONS, *VARIANTS)),
    "surrogate": (Surrogate, SURROGATES),
    "augmentation": (Augmentation, (*AUGMENTATIONS, *TEMPORAL)),
    "encoder": (Encoder, ENCODERS),
    "readout": (Readout, READOUTS),
    "loss": (Loss, LOSSES),
    "regularizer": (Regularizer, REGULARIZERS),
    "optimizer": (Optimizer, OPTIMIZERS),
    "scheduler": (Scheduler, SCHEDULERS),
    "callbacks": (Callback, CALLBACKS),
    "logger": (Logger, LOGGERS),
    "framework": (Framework, FRAMEWORKS),
}
"""Group → (the class that its choices share, its choices): the written list of what may be instantiated."""

MANY = ("augmentation", "callbacks")
"""Groups of which several choices may be made: a mapping name → node, in order."""


class Paths(Settings):
    """Where data is found, where runs go; ``run`` names one run's folder outright."""

    data: str = Field(default="data", description="where data sets lie; or the environment variable MEMBRANE_DATA")
    runs: str = Field(default="runs", description="where runs go")
    run: str | None = Field(default=None, description="one run's folder, outright")


class Init(Settings):
    """The weights that a run starts from: a run folder or a checkpoint, without the modules that ``skip`` names.

    ``sha256`` is the checkpoint's digest, worked out from the file unless it is set; the path shapes no result.
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

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the folder under paths.runs")
    seed: Count = Field(default=0, description="of everything random but the split, which dataset.split_seed fixes")
    timesteps: PositiveInt = Field(default=4, description="T, how often a neuron is stepped for one sample")
    epochs: PositiveInt = Field(default=20, description="passes over the training part")
    batch_size: PositiveInt = Field(default=64, description="samples a step, over all devices")
    protocol: Literal["val_best", "last", "paper_best_on_test"] = Field(
        default="val_best", description="val_best, last or paper_best_on_test"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        default="32-true", description="32-true, bf16-mixed, 16-mixed or auto, the fastest that is safe here"
    )
    threads: PositiveInt = Field(
        default=2, description="of the processor; part of what makes a run repeatable to the bit"
    )
    log_every: PositiveInt = Field(default=10, description="steps between training rows of metrics.csv")
    save_outputs: Literal["readout", "all"] = Field(
        default="readout", description="readout, or all for every timestep's outputs of the test set"
    )
    figures: bool = UNSHAPING(default=True, description="draw the run's figures at its end; a second's work")
    rerun: bool = Field(default=False, description="move a finished run aside and run it again")
    keep_going: bool = Field(default=False, description="start a sweep's good jobs though others were refused")
    max_time: str | None = UNSHAPING(
        default=None, description="stop with a checkpoint so long after the start, as 45s, 10m or 1h30m"
    )
    finish: bool = UNSHAPING(default=False, description="end an unfinished run now: test its checkpoints as they are")
    trust: list[str] = Field(default=[], description="your own classes that may be built, as [package.Class]")
    on_oom: Literal["fail", "halve"] = LATER(
        default="fail", description="fail, or halve: cut batches that do not fit the memory, and accumulate"
    )
    paths: Paths = Paths()
    dataset: SerializeAsAny[Dataset]
    model: SerializeAsAny[Model]
    neuron: SerializeAsAny[Neuron]
    surrogate: SerializeAsAny[Surrogate] | None
    augmentation: dict[str, SerializeAsAny[Augmentation]] = {}
    encoder: SerializeAsAny[Encoder] | None = LATER(default=None)
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
    init: Init | None = LATER(default=None, description="a run or checkpoint whose weights this one starts from")
    extend: Extend | None = LATER(default=None, description="a finished run that this one continues, with more epochs")

    paper: Paper | None = UNSHAPING(default=None, description="the published claim that an experiment reproduces")

    @property
    def dims(self) -> int:
        """Return the dimensions of what the model sees: 1 for signals [C,S] and lines of images, 2 for images."""
        return len(self.dataset.shape) - 1 - isinstance(self.encoder, Lines)

    @cached_property
    def environment(self) -> FromEnvironment:
        """Return what the settings took from the environment."""
        return NOTHING

    def taking(self, environment: FromEnvironment) -> Self:
        """Return the same configuration, which took its settings from this environment."""
        copy = self.model_copy()
        vars(copy)["environment"] = environment  # where cached properties are kept, also those of a frozen model
        return copy

    @field_validator("max_time", mode="before")
    @classmethod
    def max_time_is_a_duration(cls, value: Any) -> Any:
        """Reject anything that is not a duration, a number without its unit too."""
        if value is not None:
            duration_seconds(str(value))
        return value
