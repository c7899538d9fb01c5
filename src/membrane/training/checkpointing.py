"""When a run's checkpoints are written, and how it goes on from one."""

import time
import warnings
from collections.abc import Callable
from math import inf, isfinite
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging

from membrane.errors import NotFinite
from membrane.runs.folder import PRUNE
from membrane.runs.stopping import Pruned, Stop
from membrane.scores import score_of
from membrane.training import checkpoints

VALIDATION = "epoch_loop.val_loop.batch_progress"
INTERRUPTED = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
BEGUN = {"ready": 0, "started": 0, "processed": 0, "completed": 0}


class KeepBestAndLast(Checkpoint):
    """`last.ckpt` after every epoch; `best.ckpt` when ``monitor`` is better than ever, where there is validation.

    `last` is also written every so many optimiser ``steps`` or ``minutes``, and when ``stop`` is asked: then after the
    step, or in the middle of validation, which a run that goes on begins anew. `previous.ckpt` is the `last` before.
    ``about`` is what a model is rebuilt from: a plain dict, put under the key ``membrane``.

    A Checkpoint in Lightning's sense, so that it comes after all other callbacks and saves what they have become.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str | None,
        about: dict[str, Any],
        stop: Stop,
        steps: int | None = None,
        minutes: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.about = about
        self.stop = stop
        self.steps = steps
        self.minutes = minutes
        self.clock = clock
        self.saved_at = clock()
        self.best: float | None = None
        self.best_metrics: dict[str, float] = {}
        self.ended = False
        self.is_best = False
        self.validating = False
        self.extends = False

    def state_dict(self) -> dict[str, Any]:
        """What is the best so far, and whether a callback has ended the training early."""
        own = {"best": self.best, "best_metrics": self.best_metrics, "is_best": self.is_best}
        return {**own, "ended": self.ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.best, self.best_metrics = state_dict["best"], state_dict["best_metrics"]
        self.ended = state_dict["ended"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Minutes count from here."""
        self.saved_at = self.clock()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the training data begin where the checkpoint was written.

        Lightning does so when it makes the loader; counting the steps for the schedule has made it before.
        """
        trainer.fit_loop._load_combined_loader_states()
        if self.extends:
            reschedule(trainer, pl_module)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """A training that a callback ended early stays ended: Lightning forgets it.

        Batches may be in more pieces now. In a run that extends another, the end was that one's, and so was the
        schedule: this one's has its own length.
        """
        if checkpoint["membrane"]["fingerprint"] != self.about["fingerprint"]:
            checkpoint["lr_schedulers"] = []
            for name, state in checkpoint["callbacks"].items():
                if name.startswith("EarlyStopping"):
                    state["wait_count"] = 0  # its patience begins anew, or it would end the longer run at once
            self.extends = True
        else:
            trainer.should_stop = checkpoint["callbacks"][self.state_key]["ended"]
        if checkpoint["callbacks"][self.state_key].get("is_best"):  # it may have been killed before `best` was written
            checkpoints.keep_as(Path(str(trainer.ckpt_path)), self.folder / "best.ckpt")
        factor = self.about["pieces"] // checkpoint["membrane"].get("pieces", 1)
        if factor > 1:
            count_in_smaller_pieces(checkpoint["loops"]["fit_loop"], factor)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what the model is rebuilt from; in validation, tell Lightning's loops to begin it anew."""
        checkpoint["membrane"] = self.about
        if self.validating:
            loops = checkpoint["loops"]["fit_loop"]
            loops[VALIDATION] |= {"total": dict(INTERRUPTED), "current": dict(BEGUN)}
            loops["state_dict"].pop("combined_loader", None)  # all of the epoch's batches are behind it

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write `last` where it is time; only between optimiser steps, and not at the epoch's end, which does so."""
        if batch_idx + 1 >= trainer.num_training_batches or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        stopped = self.stop.requested()
        if stopped or self.due(trainer.global_step):
            self.write(trainer)
        if stopped:
            raise stopped

    def due(self, step: int) -> bool:
        """Whether it is time for a checkpoint within an epoch."""
        by_steps = self.steps is not None and step % self.steps == 0
        return by_steps or (self.minutes is not None and self.clock() - self.saved_at >= 60 * self.minutes)

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop in the middle of validation, which a run that goes on begins anew."""
        stopped = self.stop.requested()
        if stopped:
            for averaging in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(averaging, WeightAveraging):
                    averaging._swap_models(pl_module)  # validation is of the averaged weights
            self.validating = True
            self.write(trainer)
            raise stopped

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write `last`, and `best` where this epoch is the best."""
        self.ended = trainer.should_stop
        better = self.is_best = self.better(trainer)
        self.write(trainer)
        self.is_best = False
        if better:
            checkpoints.keep_as(self.folder / "last.ckpt", self.folder / "best.ckpt")
        stopped = self.stop.requested()
        if stopped:
            raise stopped
        if (self.folder.parent / PRUNE).exists():
            raise Pruned(f"pruned after epoch {trainer.current_epoch + 1}")

    def better(self, trainer: L.Trainer) -> bool:
        """Whether this epoch is the best so far, which it then is."""
        if self.monitor is None:
            return False
        score = float(trainer.callback_metrics[self.monitor])
        score = -score if score_of(self.monitor).lower_is_better else score
        score = score if isfinite(score) else -inf  # NaN would never be beaten
        if self.best is not None and score <= self.best:
            return False
        self.best = score
        self.best_metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        return True

    def write(self, trainer: L.Trainer) -> None:
        """`last`, after what it was has become `previous`. NotFinite, and nothing written, where a weight is none."""
        refuse_what_is_not_finite(trainer)
        last = self.folder / "last.ckpt"
        with self.stop.writing_checkpoint():
            if last.exists():
                checkpoints.keep_as(last, self.folder / "previous.ckpt")
            trainer.save_checkpoint(last)
        self.saved_at = self.clock()


def reschedule(trainer: L.Trainer, learner: Any) -> None:
    """Bring a schedule of this run's length to where the training is."""
    [config], [optimizer] = trainer.lr_scheduler_configs, trainer.optimizers
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    steps, epochs = int(trainer.estimated_stepping_batches), int(trainer.max_epochs or 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch expects an optimiser step before each
        config.scheduler = learner.schedule(optimizer, steps, epochs)["scheduler"]
        for _ in range(trainer.current_epoch if config.interval == "epoch" else trainer.global_step):
            config.scheduler.step()  # type: ignore[call-arg]  # none of ours waits for a plateau


def count_in_smaller_pieces(loops: dict[str, Any], factor: int) -> None:
    """Let Lightning's count of batches, and the data's, stand for ``factor`` times as many."""
    for tracker in (loops["epoch_loop.batch_progress"][each] for each in ("current", "total")):
        done = tracker["processed"]
        tracker |= {name: done * factor + count - done for name, count in tracker.items()}
    for state in loops["state_dict"].get("combined_loader", []):
        state["step"] *= factor


def refuse_what_is_not_finite(trainer: L.Trainer) -> None:
    """NotFinite where the last step has made a weight infinite or NaN: the last finite checkpoint is kept."""
    norms = [parameter.detach().abs().max() for parameter in trainer.lightning_module.parameters() if parameter.numel()]
    if norms and not bool(torch.stack([norm.float().cpu() for norm in norms]).isfinite().all()):
        where = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
        raise NotFinite(f"a weight is no finite number after {where}; lower optimizer.lr or set trainer.clip_norm")
