"""The callback that records a run: rows of metrics.csv with firing rates, and the same numbers for its tracker."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.optim import Optimizer

from membrane.analysis.firing import FiringRates, odd_layers
from membrane.data.feed.batch import Batch
from membrane.learner import EVALUATION, Learner
from membrane.models.norms import mixes_timesteps
from membrane.neurons import neuron_layers
from membrane.runs.table import MetricsTable
from membrane.tracking.loggers import Tracker

log = logging.getLogger(__name__)
SETTLED = 100
"""Optimiser steps until batch norm's running statistics, which evaluation uses, can be trusted."""


class Recorder(L.Callback):
    """Writes a row of metrics.csv every ``log_every`` steps and one after every epoch, with the layers' firing rates.

    Rates are measured in validation; under the protocols without a validation part, in eval mode on at most 512 fixed
    samples of the training part, never on the test set.

    Arguments:
        path: metrics.csv.
        learner: names the columns of metrics, and of rates by its model's layers.
        tracker: gets every row too.
        log_every: optimiser steps between two rows of training metrics.
        measured: whether something is measured after each epoch, validation or ``oracle``.
        average_is_young: tells of a number of optimiser steps whether the averaged weights that validation evaluates
            are mostly those of the beginning. They never are by default.
    """

    def __init__(
        self,
        path: Path,
        learner: Learner,
        tracker: Tracker,
        log_every: int,
        measured: bool,
        average_is_young: Callable[[int], bool] = lambda steps: False,
    ) -> None:
        self.tracker = tracker
        self.log_every = log_every
        self.average_is_young = average_is_young
        self.firing = FiringRates(learner.model)
        self.in_validation = measured and learner.validation == "val"
        after_epoch = [f"{learner.validation}/{name}" for name in learner.validation_metrics.names] if measured else []
        rates = [f"rate/{layer}" for layer in self.firing.rates()]
        means = [f"mean/{layer}" for layer in self.firing.rates()]
        columns = ["epoch", "step", "seconds", "lr", *learner.training_metrics.names, *after_epoch, *rates, *means]
        self.table = MetricsTable(path, columns)
        self.after_epoch = after_epoch
        self.samples = 0
        self.lr: float | None = None
        self.started = time.perf_counter()
        self.resumed = False

    def state_dict(self) -> dict[str, Any]:
        """Return seconds and samples of the fit so far, the last step's rate, and metrics.csv's length in bytes."""
        return {"seconds": self.seconds(), "samples": self.samples, "lr": self.lr, "bytes": self.table.flush()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore seconds, samples and rate, and cut rows of metrics.csv that were written later."""
        self.started = time.perf_counter() - state_dict["seconds"]
        self.samples = state_dict["samples"]
        self.lr = state_dict.get("lr")  # earlier versions did not save it
        self.table.cut(state_dict["bytes"], newer=self.after_epoch)
        if lacking := [name for name in self.after_epoch if name not in self.table.columns]:
            log.info("metrics.csv: begun by an earlier version, it goes on without %s", ", ".join(lacking))
        self.resumed = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock and the table, if the run is not resumed."""
        if not self.resumed:
            self.started = time.perf_counter()
            self.table.create()

    def seconds(self) -> float:
        """Return the seconds that the fit has taken, before interruptions too."""
        return time.perf_counter() - self.started

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Note the learning rate of the step: when its row is written, the schedule is at the next one."""
        self.lr = float(optimizer.param_groups[0]["lr"])

    def common_cells(self, trainer: L.Trainer) -> dict[str, float]:
        """Return the cells that every row has; ``lr`` is that with which the last step was made."""
        cells = {"epoch": trainer.current_epoch, "step": trainer.global_step, "seconds": self.seconds()}
        return cells if self.lr is None else {**cells, "lr": self.lr}

    def write(self, trainer: L.Trainer, values: dict[str, float]) -> None:
        """Write a row to metrics.csv and to the tracker."""
        row = {**self.common_cells(trainer), **values}
        self.table.append(row)
        self.tracker.metrics(row, trainer.global_step)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the samples, and write a row of training metrics every ``log_every`` steps."""
        self.samples += len(batch.y)
        last = batch_idx + 1 == trainer.num_training_batches
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or last
        if stepped and trainer.global_step % self.log_every == 0:
            self.training_row(trainer, pl_module)

    def training_row(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the training metrics since the last row."""
        assert isinstance(pl_module, Learner)
        values = pl_module.training_metrics.read()
        if values:
            publish(trainer, values)
            self.write(trainer, values)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start counting spikes."""
        if self.in_validation:
            self.firing.reset()
            self.firing.__enter__()

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Give the batch's lengths to the count of spikes."""
        if self.in_validation:
            self.firing.start(batch.lengths)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop counting spikes."""
        if self.in_validation:
            self.firing.__exit__(None, None, None)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the rest of the epoch's training and the epoch's row; warn of silent and saturated layers."""
        assert isinstance(pl_module, Learner)
        self.training_row(trainer, pl_module)
        publish(trainer, pl_module.training_metrics.read_epoch())
        if not self.in_validation:
            self.measure_on_training_samples(trainer, pl_module)
        rates = self.firing.rates()
        values = {name: float(trainer.callback_metrics[name]) for name in self.after_epoch}
        values |= {f"rate/{layer}": rate for layer, rate in rates.items()}
        values |= {f"mean/{layer}": mean for layer, mean in self.firing.means().items()}
        self.write(trainer, values)
        reason = self.reason_for_odd_rates(trainer.global_step, pl_module)
        analog = [name for name, layer in neuron_layers(pl_module.model).items() if getattr(layer, "analog", False)]
        for line in odd_layers(rates, analog):
            warning = f"{line.partition(':')[0]}: {reason}" if reason else line
            log.warning("epoch %d: %s", trainer.current_epoch, warning)

    def reason_for_odd_rates(self, steps: int, learner: Learner) -> str | None:
        """Return why rates after so many optimiser steps say nothing of the neurons; None if they do."""
        if self.in_validation and self.average_is_young(steps):
            return "the averaged weights are mostly those of the beginning"
        if steps < SETTLED and mixes_timesteps(learner.model):
            return "batch norm's running statistics are young"
        return None

    def measure_on_training_samples(self, trainer: L.Trainer, learner: Learner) -> None:
        """Measure firing rates in eval mode on fixed samples of the training part."""
        self.firing.reset()
        learner.eval()
        with torch.no_grad(), self.firing:
            for batch in fixed_training_batches(trainer, learner):
                self.firing.start(batch.lengths)
                learner.framework(learner.model, batch.x, batch.lengths)
        learner.train()


def fixed_training_batches(trainer: L.Trainer, learner: Learner) -> Iterator[Batch]:
    """Yield the fixed samples of the training part, as the model sees them in evaluation."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    for step, batch in enumerate(data.fixed_training_samples()):
        yield learner.augmented(data.transfer_batch_to_device(batch, learner.device, 0), False, EVALUATION, step)


def publish(trainer: L.Trainer, values: dict[str, float]) -> None:
    """Put numbers where other callbacks, such as the progress bar, look for them."""
    trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})
