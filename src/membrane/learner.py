"""The one LightningModule: from a batch to the loss, the metrics and the optimiser. All that varies is passed in."""

import math
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from inspect import signature
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.encoders.encoding import Encoding
from membrane.errors import ConfigError, NotFinite
from membrane.framework import Framework, Outputs, check_lengths, require_tensor
from membrane.metrics import Measures, TrainingMetrics
from membrane.randomness import reseed
from membrane.readout import Readout
from membrane.regularizer import Regularizer

EVALUATION = -1
"""The epoch that evaluation draws for, so that it shares no draws with training."""
NAMED_SAMPLES = 8
WAY_OUT = "the last finite checkpoint is kept; lower optimizer.lr, set trainer.clip_norm, or look at these samples"

Loss = Callable[[Outputs, Batch], Tensor]


class Learner(L.LightningModule):
    """x [N,…] or [N,T,…] → augmentation → encoder → framework → outputs [T,N,K] → loss; readout → predictions [N,K].

    Arguments:
        model: the network, with its initial weights.
        framework: unrolls time: (model, x, lengths) → outputs [T,N,K].
        readout: (outputs, lengths) → prediction [N,K], for metrics and saved outputs.
        loss: (outputs, batch) → scalar; a loss on the prediction holds a readout of its own.
        augmentation: the pipeline. What it does ``after`` the transfer to the device is done here.
        encoding: encodes static x [N,…] → [N,T,…], behind the augmentation. None: x is not encoded.
        metrics: builds an accumulator of metrics; called once for validation and once for the test.
        seed: the run's seed. Dropout draws from the stream (seed, ``model``, epoch, step).
        regularizer: penalty added to the training loss, and so to `train/loss`, but not in evaluation. None: none.
        optimize: module → optimiser of its parameters.
        schedule: (optimizer, steps, epochs) → Lightning's description of a schedule over the whole training.
        validation: prefix of the metrics after every epoch: ``val``, or ``oracle`` if they are the test set's.
        collect_outputs: what a test keeps of each sample: ``readout`` its prediction [K], ``all`` the outputs [T,K]
            too. The default is T times smaller.
        scale: factor by which the data set's whole numbers are multiplied before the model sees them, as in `Samples`.
            None: not known, so that ``forward`` takes floats only.

    Each optimiser step is that of one batch with all its samples, even if they come in several batches
    (``accumulate_grad_batches``) or in pieces of batches, or in fewer at the end of an epoch, where Lightning steps
    too: loss and penalty count by `Batch.weight`. Exceptions are what looks at one batch at a time: batch norm's
    statistics, mixup's partners, and the rates that the regulariser compares with its bounds.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        framework: Framework,
        readout: Readout,
        loss: Loss,
        augmentation: Pipeline,
        encoding: Encoding | None = None,
        metrics: Callable[[], Measures],
        seed: int,
        regularizer: Regularizer | None = None,
        optimize: Callable[[nn.Module], Optimizer],
        schedule: Callable[[Optimizer, int, int], dict[str, Any]],
        validation: str = "val",
        collect_outputs: str = "readout",
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.framework = framework
        self.readout = readout
        self.loss = loss
        self.regularizer = regularizer
        self.augmentation = augmentation
        self.encoding = encoding
        self.seed = seed
        self.optimize = optimize
        self.schedule = schedule
        self.validation = validation
        self.collect_outputs = collect_outputs
        self.scale = scale
        self.finite_loss = FiniteLoss()
        self.validation_metrics, self.test_metrics = metrics(), metrics()
        self.training_metrics = TrainingMetrics(self.validation_metrics)
        self.collected: list[dict[str, Tensor]] = []

    def forward(self, x: Tensor, lengths: Tensor | None = None, index: Tensor | None = None) -> Tensor:
        """Predict x [N,…] or [N,T,…] with evaluation's augmentation and encoding → [N,K].

        x is either as the data set stores it, in whole numbers (uint8, say), or floats that were scaled already
        (``samples.x.float() * samples.scale``): its dtype tells. ``index`` [N] are the samples' positions in their data
        set, of which an encoder's draws in evaluation are a function; 0 to N−1 by default. Raises ValueError for whole
        numbers if their scale is not known, and as `check_lengths`.
        """
        outputs, batch = self.run_network(x, lengths, index)
        return self.read_out(outputs, batch)

    def run_network(
        self, x: Tensor, lengths: Tensor | None = None, index: Tensor | None = None
    ) -> tuple[Outputs, Batch]:
        """Return the outputs [T,N,K] for x as `forward` takes it, and the batch that they are of."""
        if lengths is not None:
            check_lengths(lengths.cpu(), len(x))
        batch = self.encoded(self.augmented_in_evaluation(self.scaled(x), lengths, index), False, EVALUATION, 0)
        return self.framework(self.model, batch.x, batch.lengths), batch

    def augmented_in_evaluation(self, x: Tensor, lengths: Tensor | None = None, index: Tensor | None = None) -> Batch:
        """Return scaled x [N,…] as a batch with evaluation's augmentations of both places, not encoded yet."""
        unused = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        index = torch.arange(len(x), device=x.device) if index is None else index
        batch = Batch(x, unused, lengths, unused, index)
        for where in ("before", "after"):
            batch = self.augmentation.run(batch, where, False, EVALUATION, 0)
        return batch

    def scaled(self, x: Tensor) -> Tensor:
        """Convert x to floats as the model sees them: whole numbers are multiplied by the scale, floats are not."""
        if x.is_floating_point():
            return x.to(self.dtype)
        if self.scale is None:
            raise ValueError(
                f"x is {x.dtype}, but the scale of the data set's whole numbers is not known: "
                "set learner.scale to that of its Samples, or give floats, x.float() * scale"
            )
        return x.to(self.dtype) * self.scale

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the weighted loss [] of a batch; dropout draws from the stream (seed, model, epoch, step)."""
        epoch = self.current_epoch
        set_epoch(self.model, epoch)
        batch = self.augmented(batch, True, epoch, batch_idx)
        listening = self.regularizer.listening(batch.lengths) if self.regularizer else nullcontext()
        reseed(self.seed, "model", epoch, batch_idx)
        with listening as penalty:
            outputs = self.framework(self.model, batch.x, batch.lengths)
        loss = self.loss(outputs, batch)
        if penalty is not None:
            loss = loss + penalty()
        self.finite_loss.watch(loss, epoch, batch_idx, batch.index)
        self.training_metrics.update(self.read_out(outputs, batch), batch.y, loss)
        return loss if batch.weight == 1 else loss * batch.weight

    training_step.__signature__ = signature(training_step)  # type: ignore[attr-defined]  # Lightning reads it at each step

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the metrics of this epoch's validation."""
        self.measure(batch, batch_idx, self.validation_metrics)

    def on_validation_epoch_end(self) -> None:
        """Publish `val/*` (or `oracle/*`) for callbacks and loggers."""
        self.publish(self.validation, self.validation_metrics)

    def on_test_epoch_start(self) -> None:
        """Drop the outputs of an earlier test."""
        self.collected.clear()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test's metrics and keep its outputs."""
        batch, outputs = self.measure(batch, batch_idx, self.test_metrics)
        columns = {
            "index": batch.index,
            "recording": batch.recording,
            "label": batch.y,
            "output": self.read_out(outputs, batch),
        }
        if self.collect_outputs == "all":
            columns["outputs"] = require_tensor(outputs).transpose(0, 1)
        self.collected.append(
            {name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in columns.items()}
        )

    def on_test_epoch_end(self) -> None:
        """Publish `test/*`."""
        self.publish("test", self.test_metrics)

    def measure(self, batch: Batch, step: int, metrics: Measures) -> tuple[Batch, Outputs]:
        """Evaluate a batch, add it to ``metrics``, and return the augmented batch with its outputs [T,N,…]."""
        batch = self.augmented(batch, False, EVALUATION, step)
        outputs = self.framework(self.model, batch.x, batch.lengths)
        metrics.update(self.read_out(outputs, batch), batch.y, self.loss(outputs, batch), batch.recording)
        return batch, outputs

    def augmented(self, batch: Batch, training: bool, epoch: int, step: int) -> Batch:
        """Apply the augmentations that run on the device, and then the encoder."""
        batch = self.augmentation.run(batch, "after", training, epoch, step)
        return self.encoded(batch, training, epoch, step)

    def encoded(self, batch: Batch, training: bool, epoch: int, step: int) -> Batch:
        """Encode the x [N,…] of a batch → [N,T,…] if there is an encoder."""
        if self.encoding is None:
            return batch
        return batch._replace(x=self.encoding.run(batch.x, batch.index, training, epoch, step))

    def read_out(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Reduce outputs [T,N,K] over the batch's valid timesteps → prediction [N,K]."""
        return require_tensor(self.readout(outputs, batch.lengths))

    def publish(self, prefix: str, metrics: Measures) -> None:
        """Log the metrics as `prefix/*` and start them anew."""
        self.log_dict({f"{prefix}/{name}": value for name, value in metrics.compute().items()})
        metrics.reset()

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a schedule, but none that follows a metric: Lightning would, after the epoch's checkpoint is written."""
        if metric is None:
            super().lr_scheduler_step(scheduler, metric)

    def on_train_epoch_end(self) -> None:
        """Step a schedule that follows a metric, once the epoch's metrics are published."""
        for config in self.trainer.lr_scheduler_configs:
            if config.reduce_on_plateau:
                scheduler: Any = config.scheduler
                scheduler.step(self.trainer.callback_metrics[str(config.monitor)])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the data set's scale, and the sums of the training metrics that nobody has read yet."""
        checkpoint["scale"] = self.scale
        checkpoint["training_metrics"] = self.training_metrics.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sums of the training metrics."""
        self.training_metrics.load_state_dict(checkpoint["training_metrics"])

    def configure_optimizers(self) -> Any:
        """Return the optimiser, and its schedule over the whole training, in Lightning's terms."""
        optimizer = self.optimize(self)
        steps, epochs = int(self.trainer.estimated_stepping_batches), int(self.trainer.max_epochs or 1)
        return {"optimizer": optimizer, "lr_scheduler": self.schedule(optimizer, steps, epochs)}


def set_epoch(model: nn.Module, epoch: int) -> None:
    """Tell the epoch to every module that trains differently in each, by a method ``set_epoch``, as learned delays do.

    It is told before every step, so that a run which goes on in the middle of an epoch trains as the whole one.
    """
    for module in model.modules():
        tell = getattr(module, "set_epoch", None)
        if callable(tell):
            tell(epoch)


class FiniteLoss:
    """Watches each step's loss: on the CPU at once, on a GPU as soon as it is there, so that no step waits for it."""

    def __init__(self) -> None:
        self.pending: deque[tuple[Tensor, Any, int, int, Tensor]] = deque()

    def watch(self, loss: Tensor, epoch: int, batch: int, index: Tensor) -> None:
        """Note the loss [] of a batch with samples ``index`` [N].

        Raises NotFinite for the first that is not finite, ConfigError if it is not one number.
        """
        if loss.numel() != 1:
            raise ConfigError(
                f"the loss is {list(loss.shape)} of a batch of {len(index)}, must be one number: its mean()"
            )
        value, copied = loss.detach(), None
        if value.is_cuda:
            value = value.to("cpu", non_blocking=True)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
        self.pending.append((value, copied, epoch, batch, index))
        while self.pending and (self.pending[0][1] is None or self.pending[0][1].query()):
            value, _, epoch, batch, index = self.pending.popleft()
            require_finite(value, epoch, batch, index)


def require_finite(loss: Tensor, epoch: int, batch: int, index: Tensor) -> None:
    """Raise NotFinite, naming the batch and its first samples, if the loss [] is NaN or infinite."""
    if not math.isfinite(loss.item()):
        samples = index.tolist()
        listed = ", ".join(map(str, samples[:NAMED_SAMPLES])) + (", …" if len(samples) > NAMED_SAMPLES else "")
        where = f"epoch {epoch}, batch {batch + 1} of the epoch"
        raise NotFinite(f"the loss is {loss.item()} in {where}, samples {listed}; {WAY_OUT}")
