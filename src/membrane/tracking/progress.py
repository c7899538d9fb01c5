"""The progress of a fit: one bar for all of it on a terminal, else one line an epoch."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from membrane.report.terminal import clock_text
from membrane.report.terminal import console as standard_console
from membrane.scores import PRINCIPAL, score_of

epochs_log = logging.getLogger("epochs")
"""Reaches run.log, and not the terminal, where the same lines are printed or a bar stands."""
REFRESH = 0.2
"""Seconds between two updates of the bar: each reads metrics, which can wait for the device."""


class Pace:
    """Measures samples per second in the training of this epoch, and the time until the end of the fit.

    Arguments:
        total: batches of the whole fit; inf if it has no end.
        clock: seconds that pass; tests give their own.
    """

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.clock = clock
        self.begun = clock()
        self.done: int | None = None
        self.before = 0
        self.start_epoch()

    def start_epoch(self) -> None:
        """Count samples and seconds anew."""
        self.samples = 0
        self.seconds = 0.0
        self.running_since: float | None = self.clock()

    def step(self, done: int, samples: int) -> None:
        """Count a batch of so many samples; ``done`` are all batches of the fit, those before a resumption included."""
        self.before = done - 1 if self.done is None else self.before
        self.done = done
        self.samples += samples

    def pause(self) -> None:
        """Stop the training clock, for validation."""
        self.seconds = self.trained()
        self.running_since = None

    def resume(self) -> None:
        """Start the training clock again."""
        self.running_since = self.clock()

    def trained(self) -> float:
        """Return the seconds that training has taken in this epoch."""
        return self.seconds + (0.0 if self.running_since is None else self.clock() - self.running_since)

    def speed(self) -> float:
        """Return samples per second of training; 0 before the first."""
        return self.samples / max(self.trained(), 1e-9)

    def left(self) -> float:
        """Return seconds until the end at the mean pace so far, validation included; inf if there is no end."""
        if self.done is None:
            return math.inf
        return (self.clock() - self.begun) / (self.done - self.before) * (self.total - self.done)


class FitProgress(Callback):
    """Shows epoch, step, loss, score, samples/s and time left: a bar on a terminal, else one line an epoch.

    Each epoch's line is logged as well, for run.log, where ``shown`` is false that alone.
    Loss and the task's score are those of training and validation (or ``oracle``) in ``trainer.callback_metrics``.
    The trainer needs ``enable_progress_bar=False``, or Lightning adds its own bar.
    """

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic, shown: bool = True
    ) -> None:
        self.console = console
        self.visible = shown
        self.clock = clock
        self.pace: Pace | None = None
        self.bar: Progress | None = None
        self.shown = -math.inf
        self.validated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and the bar on a terminal."""
        self.stop()
        if not trainer.is_global_zero:
            return
        self.pace = Pace(total_batches(trainer), self.clock)
        self.validated = False
        if not self.visible:
            return
        self.console = self.console or standard_console()
        if self.console.is_terminal:
            texts = [TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[numbers]}")]
            columns = (texts[0], BarColumn(bar_width=None), texts[1])
            # Refreshed by hand: a thread of its own would be copied into the workers of a data loader.
            self.bar = Progress(*columns, console=self.console, auto_refresh=False, expand=True)
            self.bar.add_task(epoch_and_step(trainer), total=none_if_infinite(self.pace.total), numbers="")
            self.bar.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count samples per second anew."""
        if self.pace:
            self.pace.start_epoch()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch, and update the bar if it is time."""
        if self.pace is None:
            return
        self.pace.step(done_batches(trainer, batch_idx), len(batch.y))
        if trainer.is_last_batch:
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize(pl_module.device)  # once an epoch: else its last steps would count as validation
            self.pace.pause()
        if trainer.is_last_batch or self.clock() - self.shown >= REFRESH:
            self.update(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pause the training clock during validation."""
        if self.pace:
            self.pace.pause()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the validation's scores, and resume the training clock within an epoch."""
        if self.pace:
            if not trainer.is_last_batch:
                self.pace.resume()
            self.validated = True
            self.update(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's line, and print it if there is no bar."""
        if self.pace is None:
            return
        line = epoch_line(trainer, self.pace, self.validated)
        self.validated = False
        epochs_log.info(line)
        if self.console and not self.bar:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the bar as it was last drawn: the trainer already counts the next epoch."""
        self.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the bar before anything else is written to the terminal."""
        self.stop()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remove the bar, however the fit ended."""
        self.stop()

    def update(self, trainer: pl.Trainer) -> None:
        """Draw the bar anew; it reads metrics nowhere else."""
        if self.bar is None or self.pace is None:
            return
        self.shown = self.clock()
        task = self.bar.task_ids[0]
        self.bar.update(
            task,
            completed=self.pace.done or 0,
            description=epoch_and_step(trainer),
            numbers=bar_numbers(trainer, self.pace),
        )
        self.bar.refresh()

    def stop(self) -> None:
        """Remove the bar if there is one."""
        if self.bar:
            self.bar.stop()
        self.bar = self.pace = None


def total_batches(trainer: pl.Trainer) -> float:
    """Return the batches of the whole fit; inf if neither epochs nor steps are limited."""
    epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs or 0
    steps = math.inf if trainer.max_steps == -1 else trainer.max_steps * trainer.accumulate_grad_batches
    return min(epochs * trainer.num_training_batches, steps)


def done_batches(trainer: pl.Trainer, batch_idx: int) -> int:
    """Return the batches of the fit up to and including this one, those before a resumption too."""
    per_epoch = none_if_infinite(trainer.num_training_batches)
    return (trainer.current_epoch * int(per_epoch) if per_epoch else 0) + batch_idx + 1


def none_if_infinite(number: float) -> float | None:
    """Return the number, or None for inf."""
    return number if math.isfinite(number) else None


def epoch_and_step(trainer: pl.Trainer) -> str:
    """Return ``epoch 3/19 step 1234``: epochs count from 0, as in metrics.csv, so 19 is the last of 20."""
    last = "" if trainer.max_epochs in (None, -1) else f"/{(trainer.max_epochs or 1) - 1}"
    return f"epoch {trainer.current_epoch:{max(len(last) - 1, 1)}}{last} step {trainer.global_step}"


def bar_numbers(trainer: pl.Trainer, pace: Pace) -> str:
    """Return ``loss 0.5123 acc 83.1% val 85.0% 1,234/s 1:20 left``."""
    metrics = trainer.callback_metrics
    part = validation_part(trainer)
    shown = [("loss", "train/loss"), *((name, f"train/{name}") for name in PRINCIPAL.values())]
    shown += [(part, f"{part}/{name}") for name in PRINCIPAL.values()]
    numbers = [f"{name} {short_score(key, metrics[key])}" for name, key in shown if key in metrics]
    return " ".join([*numbers, f"{pace.speed():,.0f}/s", f"{clock_text(pace.left())} left"])


def epoch_line(trainer: pl.Trainer, pace: Pace, validated: bool) -> str:
    """Return ``epoch  3/19  train loss 0.5123 acc 83.1%  val loss 0.4876 acc 85.0%  1,234 samples/s  1:20 left``."""
    metrics = trainer.callback_metrics
    groups = [epoch_and_step(trainer).partition(" step")[0]]
    for part in ("train", validation_part(trainer)) if validated else ("train",):
        named = {
            name: metrics[f"{part}/{name}"] for name in ("loss", *PRINCIPAL.values()) if f"{part}/{name}" in metrics
        }
        if named:
            groups.append(" ".join([part, *(f"{name} {short_score(name, value)}" for name, value in named.items())]))
    return "  ".join([*groups, f"{pace.speed():,.0f} samples/s", f"{clock_text(pace.left())} left"])


def validation_part(trainer: pl.Trainer) -> str:
    """Return ``oracle`` if the test set is read after every epoch, else ``val``."""
    return "oracle" if any(name.startswith("oracle/") for name in trainer.callback_metrics) else "val"


def short_score(key: str, value: Any) -> str:
    """Return ``83.1%`` for a fraction, else four decimals."""
    return f"{float(value):.1%}" if score_of(key).percent else f"{float(value):.4f}"
