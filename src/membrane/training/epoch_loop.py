"""Lightning's loop over an epoch's batches, which makes ordinary steps without the hooks that nobody has.

At each step Lightning 2.6.6 calls some forty hooks of learner, callbacks, data and strategy, most of which do nothing:
a seventh of a step of a small net. What a callback does have is called here too, at the same places; numbers, counters
and checkpoints are the same.
"""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer.call import _call_callback_hooks
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from membrane.data.feed.batch import Batch
from membrane.data.feed.module import DataModule
from membrane.learner import Learner

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
"""Those of a step, in the order in which they are called."""


def loop_directly(trainer: L.Trainer) -> None:
    """Give a trainer that has not begun the loop over batches of this module."""
    loop = trainer.fit_loop.epoch_loop
    trainer.fit_loop.epoch_loop = EpochLoop(trainer, loop.min_steps, loop.max_steps)


def makes_ordinary_steps(trainer: L.Trainer) -> bool:
    """Return whether a step is one batch in float32 on one device, without clipping and without a profile.

    A subclass of the learner or of the data may have hooks of its own, which Lightning calls.
    """
    return (
        type(trainer.lightning_module) is Learner
        and type(trainer.datamodule) is DataModule  # type: ignore[attr-defined]
        and type(trainer.strategy) is SingleDeviceStrategy
        and type(trainer.precision_plugin) is Precision
        and type(trainer.profiler) is PassThroughProfiler  # type: ignore[attr-defined]
        and trainer.gradient_clip_val is None
        and trainer.accumulate_grad_batches == 1
    )


class EpochLoop(_TrainingEpochLoop):
    """Loops over an epoch's batches; steps that are not ordinary, and the first after a resumption, are Lightning's.

    Lightning has no public name for its loop. What is private to Lightning 2.6.6 here stands in its ``advance``, in the
    same order.
    """

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Find out how this epoch's steps are made, and which hooks the callbacks have."""
        super().on_run_start(data_fetcher)
        callbacks = self.trainer.callbacks
        self.ordinary = makes_ordinary_steps(self.trainer)
        self.heard = {hook for hook in HOOKS if any(is_overridden(hook, callback) for callback in callbacks)}

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Take the next batch and train on it. Raises StopIteration if there is none."""
        if self.restarting or not self.ordinary:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        trainer: Any = self.trainer
        batch, _, _ = next(data_fetcher)
        number, progress, connector = self.batch_idx + 1, self.batch_progress, trainer._logger_connector
        progress.is_last_batch = data_fetcher.done
        batch = trainer.datamodule.transfer_batch_to_device(batch, trainer.strategy.root_device, 0)
        progress.increment_ready()
        connector.on_batch_start(batch)
        self.tell("on_train_batch_start", batch, number)
        progress.increment_started()
        loss = self.step(batch, number)
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self.tell("on_train_batch_end", {"loss": loss}, batch, number)
        connector.on_batch_end()
        progress.increment_completed()
        connector.update_train_step_metrics()

    def step(self, batch: Batch, number: int) -> Tensor:
        """Make an optimiser step with the batch of that number in the epoch → its loss [], without graph."""
        learner: Any = self.trainer.lightning_module
        [optimizer], counts = self.trainer.optimizers, self.automatic_optimization.optim_progress.optimizer
        losses: list[Tensor] = []

        @torch.enable_grad()
        def closure() -> Tensor:
            loss: Tensor = learner.training_step(batch, number)
            losses.append(loss.detach().clone())
            counts.zero_grad.increment_ready()
            self.tell("on_before_zero_grad", optimizer)
            counts.zero_grad.increment_started()
            optimizer.zero_grad()
            counts.zero_grad.increment_completed()
            self.tell("on_before_backward", loss)
            loss.backward()  # type: ignore[no-untyped-call]
            self.tell("on_after_backward")
            self.tell("on_before_optimizer_step", optimizer)
            return losses[-1]

        counts.step.increment_ready()
        optimizer.step(closure)
        counts.step.increment_completed()
        return losses[-1]

    def tell(self, hook: str, *arguments: Any) -> None:
        """Call a hook of all callbacks if one of them has it."""
        if hook in self.heard:
            _call_callback_hooks(self.trainer, hook, *arguments)
