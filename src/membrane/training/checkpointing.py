"""The callback that writes a run's checkpoints, and restores what Lightning does not when a run resumes."""

import time
import warnings
from collections.abc import Callable, Mapping
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging

from membrane.errors import DataError, NotFinite
from membrane.runs.contents import PRUNE
from membrane.runs.stopping import Pruned, Stop
from membrane.scores import score_of
from membrane.training import checkpoints

# private to Lightning 2.6.6, which has no public way to say that validation was interrupted: the key and the counters
# in its loops' state with which a resumed fit begins the validation of the same epoch anew
VALIDATION_PROGRESS = "epoch_loop.val_loop.batch_progress"
INTERRUPTED_TOTAL = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
NOTHING_DONE = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
LOSS = "val/loss"
TIES = "the lower validation loss, then the later epoch"
"""Which of the epochs with the best score gives best.ckpt."""


class KeepBestAndLast(Checkpoint):
    """Writes last.ckpt after every epoch, keeping the former one as previous.ckpt, and best.ckpt after the best epoch.

    Epochs with the same score are told apart by `TIES`: on few validation samples many have it, and an accuracy of
    none of them says which has learned most.

    On a stop signal last.ckpt is written after the current step, or during validation, which a resumed run begins
    anew. It is a Checkpoint in Lightning's sense, so that it runs after all other callbacks and saves their new state.

    Arguments:
        folder: where the files are written.
        monitor: key of the score that selects best.ckpt, such as ``val/acc``; None, without validation: no best.ckpt.
        about: plain dict from which a model is rebuilt, saved under the key ``membrane``.
        stop: tells whether the run was asked to stop.
        steps: optimiser steps between two writings of last.ckpt within an epoch. None: only at its end.
        minutes: the same in minutes.
        clock: seconds that pass; tests give their own.
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
        """Return the best score so far, its metrics, and whether a callback has ended the training early."""
        best = {"best": self.best, "best_metrics": self.best_metrics, "is_best": self.is_best}
        return {**best, "ended": self.ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best score so far and whether training has ended."""
        self.best, self.best_metrics = state_dict["best"], state_dict["best_metrics"]
        self.ended = state_dict["ended"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start counting minutes."""
        self.saved_at = self.clock()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the training data begin where the checkpoint was written."""
        # private to Lightning 2.6.6, which calls it only when it makes the loader, here made for the schedule before
        trainer.fit_loop._load_combined_loader_states()
        if self.extends:
            reschedule(trainer, pl_module)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore an early end, which Lightning forgets, a best.ckpt not yet written, and smaller pieces of a batch.

        A run that extends another does not take over its early end.
        """
        if checkpoint["membrane"]["fingerprint"] != self.about["fingerprint"]:
            for name, state in checkpoint["callbacks"].items():
                if name.startswith("EarlyStopping"):
                    state["wait_count"] = 0  # else it would end the longer run at once
            self.extends = True
        else:
            trainer.should_stop = checkpoint["callbacks"][self.state_key]["ended"]
        self.complete_best(Path(str(trainer.ckpt_path)), checkpoint)
        factor = self.about["pieces"] // checkpoint["membrane"].get("pieces", 1)
        if factor > 1:
            count_in_smaller_pieces(checkpoint["loops"]["fit_loop"], factor)

    def complete_best(self, path: Path, checkpoint: dict[str, Any]) -> None:
        """Write best.ckpt if the checkpoint at ``path`` is the best, and the run was killed before it could.

        Raises DataError if an earlier one was the best and best.ckpt is missing.
        """
        best, state = self.folder / "best.ckpt", checkpoint["callbacks"][self.state_key]
        if state.get("is_best"):
            checkpoints.link_checkpoint(path, best)
        elif state["best"] is not None and self.monitor is not None and not best.is_file():
            raise DataError(f"{best}, which an earlier epoch wrote, is missing; rerun=true runs it anew")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what the model is rebuilt from; during validation, let Lightning's loops begin it anew."""
        checkpoint["membrane"] = self.about
        if self.validating:
            loops = checkpoint["loops"]["fit_loop"]
            loops[VALIDATION_PROGRESS] |= {"total": dict(INTERRUPTED_TOTAL), "current": dict(NOTHING_DONE)}
            loops["state_dict"].pop("combined_loader", None)  # all batches of the epoch are done

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write last.ckpt if it is due, only between optimiser steps; the end of the epoch writes it anyway."""
        if batch_idx + 1 >= trainer.num_training_batches or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        stopped = self.stop.requested()
        if stopped or self.due(trainer.global_step):
            self.write(trainer)
        if stopped:
            raise stopped

    def due(self, step: int) -> bool:
        """Return whether a checkpoint within the epoch is due at this optimiser step."""
        by_steps = self.steps is not None and step % self.steps == 0
        return by_steps or (self.minutes is not None and self.clock() - self.saved_at >= 60 * self.minutes)

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write last.ckpt and end the run during validation if it was asked to stop."""
        stopped = self.stop.requested()
        if stopped:
            for averaging in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(averaging, WeightAveraging):
                    # private to Lightning 2.6.6: nothing public swaps the averaged weights that it validates back
                    averaging._swap_models(pl_module)
            self.validating = True
            self.write(trainer)
            raise stopped

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write last.ckpt, and best.ckpt if this epoch is the best; then stop if that was asked."""
        self.ended = trainer.should_stop
        better = self.is_best = self.better(trainer)
        self.write(trainer)
        self.is_best = False
        if better:
            checkpoints.link_checkpoint(self.folder / "last.ckpt", self.folder / "best.ckpt")
        stopped = self.stop.requested()
        if stopped:
            raise stopped
        if (self.folder.parent / PRUNE).exists():
            raise Pruned(f"pruned after epoch {trainer.current_epoch}")

    def better(self, trainer: L.Trainer) -> bool:
        """Return whether this epoch beats the best so far, or is its equal by `TIES`, and record it if so."""
        if self.monitor is None:
            return False
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        score = goodness(self.monitor, metrics)
        if self.best is not None and (score, goodness(LOSS, metrics)) < (self.best, goodness(LOSS, self.best_metrics)):
            return False
        self.best, self.best_metrics = score, metrics
        return True

    def write(self, trainer: L.Trainer) -> None:
        """Write last.ckpt, keeping the old one as previous.ckpt.

        Raises NotFinite, writing nothing, if a weight is NaN or infinite.
        """
        require_finite_weights(trainer)
        last = self.folder / "last.ckpt"
        with self.stop.writing_checkpoint():
            if last.exists():
                checkpoints.link_checkpoint(last, self.folder / "previous.ckpt")
            trainer.save_checkpoint(last)
        self.saved_at = self.clock()


def goodness(key: str, metrics: Mapping[str, float]) -> float:
    """Return a score such that higher is better; -inf where it is no finite number, which would never be beaten."""
    score = metrics.get(key, nan)
    score = -score if score_of(key).lower_is_better else score
    return score if isfinite(score) else -inf


def reschedule(trainer: L.Trainer, learner: Any) -> None:
    """Replace the schedule by one of this run's length, advanced to the current step or epoch.

    One that follows a metric has no length, and goes on with what it has seen.
    """
    [config], [optimizer] = trainer.lr_scheduler_configs, trainer.optimizers
    if config.reduce_on_plateau:
        return
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    steps, epochs = int(trainer.estimated_stepping_batches), int(trainer.max_epochs or 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch expects an optimiser step before each
        config.scheduler = learner.schedule(optimizer, steps, epochs)["scheduler"]
        for _ in range(trainer.current_epoch if config.interval == "epoch" else trainer.global_step):
            config.scheduler.step()  # type: ignore[call-arg]  # it follows no metric


def count_in_smaller_pieces(loops: dict[str, Any], factor: int) -> None:
    """Multiply the batches counted by Lightning's loops and by the data loader by ``factor``, in place."""
    for tracker in (loops["epoch_loop.batch_progress"][each] for each in ("current", "total")):
        done = tracker["processed"]
        tracker |= {name: done * factor + count - done for name, count in tracker.items()}
    for state in loops["state_dict"].get("combined_loader", []):
        state["step"] *= factor


def require_finite_weights(trainer: L.Trainer) -> None:
    """Raise NotFinite if the last step has made a weight NaN or infinite."""
    norms = [parameter.detach().abs().max() for parameter in trainer.lightning_module.parameters() if parameter.numel()]
    if norms and not bool(torch.stack([norm.float().cpu() for norm in norms]).isfinite().all()):
        where = f"epoch {trainer.current_epoch}, step {trainer.global_step}"
        raise NotFinite(f"a weight is no finite number after {where}; lower optimizer.lr or set trainer.clip_norm")
