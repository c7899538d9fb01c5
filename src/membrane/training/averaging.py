"""A moving average of the weights that is of use in a short run too."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


def warmed_decay(decay: float, updates: int) -> float:
    """Return the decay after so many updates, min(decay, (1+updates)/(10+updates)): it grows with what there is."""
    return min(decay, (1 + updates) / (10 + updates))


class ExponentialMovingAverage(WeightAveraging):
    """Averages the weights, and evaluates and keeps the average: w̄ ← d·w̄ + (1−d)·w, with `warmed_decay` as d.

    The first update copies the weights. With a decay that is .999 from the beginning, 37 % of the average after 1000
    steps would be those of the first one. Until there is an average, what is evaluated and kept are the weights.

    Arguments:
        decay: d that is reached after about 10 / (1 − d) updates.
        update_every_n_steps: optimiser steps between two updates.
        update_starting_at_step: optimiser steps before the first one. None: none.
    """

    def __init__(
        self, decay: float = 0.999, update_every_n_steps: int = 1, update_starting_at_step: int | None = None
    ) -> None:
        super().__init__(avg_fn=self.average)
        self.decay = decay
        self.update_every_n_steps = update_every_n_steps
        self.update_starting_at_step = update_starting_at_step
        self.updates = 0

    def average(self, averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
        """Average two tensors of equal shape; ``count`` is ``updates`` on the device, and has to be waited for."""
        decay = warmed_decay(self.decay, self.updates)
        return decay * averaged + (1 - decay) * current

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return whether the average is updated after the optimiser step of an index; never at an epoch's end."""
        if step_idx is None or step_idx < (self.update_starting_at_step or 0):
            return False
        return step_idx % self.update_every_n_steps == 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average if it is due, and count that."""
        # private to Lightning 2.6.6: the step of the last update, by which a step of several batches counts once
        before = self._latest_update_step
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.updates += self._latest_update_step > before

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the average be what is validated."""
        self.begin(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the average be what was trained."""
        self.begin(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let the average be what is kept, beside the weights that training goes on with."""
        self.begin(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def begin(self, learner: L.LightningModule) -> None:
        """Let the average be the weights as long as nothing was averaged: Lightning's would be the initial ones."""
        # private to Lightning 2.6.6, which has no public name for its average
        if self.updates == 0 and self._average_model is not None:
            self._average_model.module.load_state_dict(learner.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return how often and when the average was last updated."""
        return {**super().state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore how often and when the average was last updated."""
        super().load_state_dict(state_dict)
        self.updates = state_dict["updates"]
