"""Training: readout, loss, regulariser, trainer, callbacks, logger."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.node import LATER, UNSHAPING, Count, Fraction, Node, NotNegative, Positive, Settings
from membrane.scores import MONITORS

if TYPE_CHECKING:  # a Literal of names from a table is for pydantic only
    Monitor = str
else:
    Monitor = Literal[tuple(dict.fromkeys(key for keys in MONITORS.values() for key in keys))]


class Readout(Node):
    """From outputs [T,N,…] to one prediction [N,…].

    ``of_neurons``: it has no meaning for the ANN twin; ``of_spikes``: it has one only where the outputs are spikes.
    ``has_gradient``: a loss can be taken of its prediction.
    """

    of_neurons: ClassVar[bool] = False
    of_spikes: ClassVar[bool] = False
    has_gradient: ClassVar[bool] = True


class Mean(Readout):
    choice = "mean"
    public = "membrane.readout.Mean"


class Sum(Readout):
    choice = "sum"
    public = "membrane.readout.Sum"


class Max(Readout):
    choice = "max"
    public = "membrane.readout.Max"


class Last(Readout):
    choice = "last"
    public = "membrane.readout.Last"


class Membrane(Readout):
    choice = "membrane"
    public = "membrane.readout.Membrane"
    of_neurons = True
    tau: float = Field(default=2.0, gt=1)
    reduce: Literal["last", "max", "softmax"] = "last"
    decay_input: bool = True


class FirstSpike(Readout):
    choice = "first_spike"
    public = "membrane.readout.FirstSpike"
    of_neurons = True
    of_spikes = True


class Crossings(Readout):
    choice = "crossings"
    public = "membrane.readout.Crossings"
    has_gradient = False
    threshold: float = 1.0


READOUTS = (Mean, Sum, Max, Last, Membrane, FirstSpike, Crossings)


class Loss(Node):
    """loss(outputs, batch) → scalar; ``tasks`` are those of which it can read y.

    ``of_prediction``: it is one of what the readout gives, not of each timestep.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    of_prediction: ClassVar[bool] = False


class CrossEntropy(Loss):
    choice = "cross_entropy"
    of_prediction = True
    public = "membrane.losses.CrossEntropy"
    tasks = ("classification",)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class MSE(Loss):
    choice = "mse"
    of_prediction = True
    public = "membrane.losses.MSE"


class TET(Loss):
    choice = "tet"
    public = "membrane.losses.TET"
    tasks = ("classification",)
    lamb: Fraction = 0.05
    phi: float = 1.0


class SpikeCount(Loss):
    choice = "spike_count"
    public = "membrane.losses.SpikeCount"
    tasks = ("classification",)
    correct_rate: NotNegative = 0.8
    incorrect_rate: NotNegative = 0.2

    @model_validator(mode="after")
    def rates_differ(self) -> Self:
        """Reject target rates under which no class stands out."""
        if self.correct_rate <= self.incorrect_rate:
            raise ValueError(f"correct_rate={self.correct_rate} must be above incorrect_rate={self.incorrect_rate}")
        return self


LOSSES = (CrossEntropy, MSE, TET, SpikeCount)


class Regularizer(Node):
    """A penalty on what the layers do while training, added to any loss."""

    of_neurons: ClassVar[bool] = False


class FiringRate(Regularizer):
    choice = "firing_rate"
    public = "membrane.regularizer.FiringRate"
    of_neurons = True
    lower: NotNegative = 0.01
    upper: NotNegative = 0.2
    weight: NotNegative = 1.0
    layers: dict[str, Annotated[list[NotNegative], Field(min_length=2, max_length=2)]] = {}

    @model_validator(mode="after")
    def bands_have_room(self) -> Self:
        """Reject a lower bound above its upper one."""
        own = {f"layers.{name}": band for name, band in self.layers.items()}
        for name, (lower, upper) in {"lower, upper": (self.lower, self.upper), **own}.items():
            if lower > upper:
                raise ValueError(f"{name}: the lower bound {lower} lies above the upper one {upper}")
        return self


REGULARIZERS = (FiringRate,)


class Trainer(Settings):
    """Around the step: where it runs, clipping, accumulation, what the best checkpoint is best at.

    ``fused`` neurons take all timesteps at once on the CPU, and max pools one pass; ``stem_once`` computes what stands
    before the first neuron once where the input is repeated; ``timesteps_at_once`` runs single-step models layer by
    layer where outputs are the same in all bits. All three are the same function, but for the last bits of gradients.

    ``channels_last`` is the layout of images and signals; ``compile`` puts torch's compiler around the model while it
    trains, and draws dropout in another way; ``tf32`` lets matrix products on a GPU multiply in TensorFloat-32, as
    torch's convolutions there do. All three change roundings.

    ``recompute`` timesteps make a chunk, which the backward pass runs again, so that training keeps what one chunk
    needs for its gradient instead of all T. Gradients change in their last bits.

    ``accumulate`` batches make an optimiser step, fewer at the end of an epoch; all samples of a step count the same.
    ``last_batch`` keeps a short last batch of an epoch, drops it, or joins it to the one before. ``buckets`` is the
    number of training batches whose samples are sorted by length, so that each batch, cut to its longest sample, has
    less padding.

    ``health`` writes health.csv and warns of silent and saturated neurons, surrogate gradients that are not active and
    gradients that vanish.

    A ``monitor`` that is not set is the first of the task's `MONITORS`.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Literal[1] = 1
    deterministic: bool = True
    clip_norm: Positive | None = None
    accumulate: PositiveInt = 1
    monitor: Monitor | None = None
    workers: Count = UNSHAPING(default=0)
    worker_timeout: Positive = UNSHAPING(default=25.0)
    checkpoint_steps: PositiveInt | None = UNSHAPING(default=None)
    checkpoint_minutes: Positive | None = UNSHAPING(default=None)
    progress: bool = True
    profile: bool = UNSHAPING(default=False)
    health: bool = UNSHAPING(default=False)
    fused: bool = LATER(default=True)
    stem_once: bool = LATER(default=True)
    timesteps_at_once: bool = LATER(default=True)
    channels_last: bool = LATER(default=False)
    compile: bool = LATER(default=False)
    tf32: bool = LATER(default=False)
    last_batch: Literal["keep", "drop", "join"] = LATER(default="keep")
    buckets: PositiveInt | None = LATER(default=None)
    recompute: PositiveInt | None = LATER(default=None)


class Callback(Node):
    """A callback of Lightning, which the training loop calls at its events."""


class EMA(Callback):
    """A moving average of the weights, of which the decay warms up."""

    choice = "ema"
    public = "membrane.training.averaging.ExponentialMovingAverage"
    decay: Fraction = 0.999
    update_every_n_steps: PositiveInt = 1
    update_starting_at_step: Count | None = None


class ConstantEMA(EMA):
    """The same with a constant decay, as in configurations that were saved before it warmed up."""

    choice = ""
    public = "lightning.pytorch.callbacks.EMAWeightAveraging"
    defined = "lightning.pytorch.callbacks.weight_averaging.EMAWeightAveraging"


class EarlyStop(Callback):
    choice = "early_stop"
    public = "lightning.pytorch.callbacks.EarlyStopping"
    defined = "lightning.pytorch.callbacks.early_stopping.EarlyStopping"
    monitor: Monitor
    mode: Literal["min", "max"] = "min"
    patience: Count = 3
    min_delta: NotNegative = 0.0


CALLBACKS = (EMA, ConstantEMA, EarlyStop)


class Logger(Node):
    """A tracker beside metrics.csv, which is always written."""


class Wandb(Logger):
    choice = "wandb"
    public = "lightning.pytorch.loggers.WandbLogger"
    defined = "lightning.pytorch.loggers.wandb.WandbLogger"
    project: str = "membrane"
    entity: str | None = None
    tags: list[str] = []


class TensorBoard(Logger):
    choice = "tensorboard"
    public = "lightning.pytorch.loggers.TensorBoardLogger"
    defined = "lightning.pytorch.loggers.tensorboard.TensorBoardLogger"


LOGGERS = (Wandb, TensorBoard)
