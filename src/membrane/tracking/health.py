"""The callback that writes health.csv, a row an epoch, and warns once of each kind of trouble."""

import logging
import math
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.optim import Optimizer

from membrane.analysis.findings import findings
from membrane.analysis.health import (
    ACTIVITY,
    GradientNorms,
    NeuronActivity,
    active_shares,
    constants,
    samples_to_watch,
)
from membrane.data.feed.batch import Batch
from membrane.learner import Learner
from membrane.models.norms import mixes_timesteps
from membrane.neurons import neuron_layers
from membrane.runs.table import MetricsTable
from membrane.tracking.loggers import Tracker
from membrane.tracking.recorder import SETTLED, fixed_training_batches

log = logging.getLogger(__name__)
YOUNG = ("silent", "saturated", "active")
"""Kinds of trouble that batch norm's statistics alone can seem to be, while they are young."""


class Health(L.Callback):
    """Writes health.csv: what its columns mean, docs/health.md.

    Neurons are measured in validation; under the protocols without one in eval mode on the fixed samples of the
    training part on which firing rates are. Surrogate gradients are those of the first of these samples, and gradients
    of weights those of every ``log_every``-th optimiser step before they are clipped. It draws no random number and
    changes no state, so a run with it ends with the same bits.

    Arguments:
        path: health.csv.
        learner: its model's layers name the columns.
        tracker: gets every row too.
        log_every: optimiser steps between two at which gradients are measured.
        measured: whether something is measured after each epoch, validation or ``oracle``.
    """

    def __init__(self, path: Path, learner: Learner, tracker: Tracker, log_every: int, measured: bool) -> None:
        layers = neuron_layers(learner.model)
        self.tracker = tracker
        self.log_every = log_every
        self.in_validation = measured and learner.validation == "val"
        self.activity = NeuronActivity(learner.model)
        self.gradients = GradientNorms(learner.model)
        self.analog = {name for name, layer in layers.items() if getattr(layer, "analog", False)}
        named = [f"{column}/{layer}" for column in (*ACTIVITY, "active") for layer in layers]
        gradients = [f"gradient/{layer}" for layer in self.gradients.layers]
        self.table = MetricsTable(path, ["epoch", "step", *named, *constants(learner.model), *gradients])
        self.warned: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of gradients of the epoch so far, and of which kinds of trouble was warned."""
        sums = None if self.gradients.sums is None else self.gradients.sums.tolist()
        return {"sums": sums, "steps": self.gradients.steps, "warned": sorted(self.warned)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        sums = state_dict["sums"]
        self.gradients.sums = None if sums is None else torch.tensor(sums)
        self.gradients.steps = state_dict["steps"]
        self.warned = set(state_dict["warned"])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the table, after the rows that the part of the run before a stop has written."""
        self.table.begin_after(trainer.global_step)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Measure the gradients of every ``log_every``-th step, and of the first that an epoch's row would lack."""
        if trainer.global_step % self.log_every == 0 or not self.gradients.steps:
            self.gradients.measure()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start counting spikes."""
        if self.in_validation:
            self.activity.reset()
            self.activity.__enter__()

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Give the batch's lengths to the count of spikes."""
        if self.in_validation:
            self.activity.start(batch.lengths)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop counting spikes."""
        if self.in_validation:
            self.activity.__exit__(None, None, None)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epoch's row, and warn of what it shows."""
        assert isinstance(pl_module, Learner)
        if not self.in_validation:
            self.count_on_training_samples(trainer, pl_module)
        row = {name: value for name, value in self.measured(trainer, pl_module).items() if not math.isnan(value)}
        self.gradients.reset()
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step, **row}
        self.table.append(row)
        self.tracker.metrics(row, trainer.global_step)
        self.warn(row, trainer, pl_module)

    def measured(self, trainer: L.Trainer, learner: Learner) -> dict[str, float]:
        """Return the cells of the epoch's row; nan where nothing could be measured."""
        shares = self.activity.shares()
        cells = {f"{column}/{layer}": value for column, each in shares.items() for layer, value in each.items()}
        for layer in self.analog:
            cells |= {f"{column}/{layer}": math.nan for column in ACTIVITY if column.startswith("saturated")}
        cells |= {f"active/{layer}": share for layer, share in self.active(trainer, learner).items()}
        norms = {f"gradient/{layer}": norm for layer, norm in self.gradients.means().items()}
        return cells | constants(learner.model) | norms

    def active(self, trainer: L.Trainer, learner: Learner) -> dict[str, float]:
        """Return each layer's share of active surrogate gradients on the first fixed samples of the training part."""
        batch = next(fixed_training_batches(trainer, learner))
        count = samples_to_watch(len(batch.x))
        lengths = None if batch.lengths is None else batch.lengths[:count]
        try:
            return active_shares(learner.model, learner.framework, batch.x[:count], lengths)
        except Exception as error:  # a neuron of the user's that takes no other surrogate than its own
            self.warn_once(
                "surrogate", f"surrogate gradients cannot be measured here ({type(error).__name__}: {error})"
            )
            return {}

    def count_on_training_samples(self, trainer: L.Trainer, learner: Learner) -> None:
        """Count spikes in eval mode on fixed samples of the training part."""
        self.activity.reset()
        learner.eval()
        with torch.no_grad(), self.activity:
            for batch in fixed_training_batches(trainer, learner):
                self.activity.start(batch.lengths)
                learner.framework(learner.model, batch.x, batch.lengths)
        learner.train()

    def warn(self, row: dict[str, float], trainer: L.Trainer, learner: Learner) -> None:
        """Warn of each kind of trouble that the run has not shown before."""
        is_young = trainer.global_step < SETTLED and mixes_timesteps(learner.model)
        for kind, line in findings(row).items():
            if not (is_young and kind in YOUNG):
                self.warn_once(kind, f"epoch {trainer.current_epoch}: {line}")

    def warn_once(self, kind: str, line: str) -> None:
        """Log a line, the first of its kind only."""
        if kind not in self.warned:
            self.warned.add(kind)
            log.warning("health: %s", line)
