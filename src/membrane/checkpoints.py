"""Checkpoints: plain dicts and tensors, written whole with a digest beside them, read without unpickling code."""

import os
from math import inf, isfinite
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import nn

from membrane.errors import ConfigError, DataError
from membrane.runs import sha256
from membrane.schema.training import LOWER_IS_BETTER


class WholeFiles(CheckpointIO):
    """Lightning's way to the disk: written beside, flushed, renamed; a digest file; loaded with weights_only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint so that it is there whole or not at all."""
        save(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read a checkpoint of ours. DataError where it is damaged or holds anything but plain data."""
        return load(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its digest."""
        for each in (Path(path), digest_file(Path(path))):
            each.unlink(missing_ok=True)


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and its SHA-256 beside it, each whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        torch.save(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())
    digest = sha256(beside)
    beside.replace(path)
    marker = digest_file(path).with_name(f".{path.name}.sha256.tmp")
    marker.write_text(f"{digest}  {path.name}\n")
    marker.replace(digest_file(path))


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. DataError where it is missing, damaged, or holds anything but plain data."""
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    marker = digest_file(path)
    if marker.is_file() and marker.read_text().split()[0] != sha256(path):
        raise DataError(f"{path}: damaged (its SHA-256 is not the one in {marker.name})")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers do; all of it means: not a checkpoint of ours
        raise DataError(f"{path}: not a checkpoint of plain data ({type(error).__name__})") from None
    if not isinstance(checkpoint, dict) or "membrane" not in checkpoint:
        raise DataError(f"{path}: not a checkpoint of membrane")
    return checkpoint


def load_into(learner: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Give a learner the weights of a checkpoint. ConfigError where its settings need others."""
    try:
        learner.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[6:])  # after "Error(s) in loading state_dict for Learner:"
        raise ConfigError(f"the settings do not fit the trained weights, which cannot change now: {reason}") from None


def digest_file(path: Path) -> Path:
    """Where a checkpoint's digest lies."""
    return path.with_name(f"{path.name}.sha256")


class KeepBestAndLast(L.Callback):
    """`last.ckpt` after every epoch; `best.ckpt` when ``monitor`` is better than ever, where there is validation.

    ``about`` is what a model is rebuilt from: a plain dict, put under the key ``membrane``.
    """

    def __init__(self, folder: Path, monitor: str | None, about: dict[str, Any]) -> None:
        self.folder = folder
        self.monitor = monitor
        self.about = about
        self.best: float | None = None
        self.best_metrics: dict[str, float] = {}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what the model is rebuilt from."""
        checkpoint["membrane"] = self.about

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write `last`, and `best` where this epoch is the best."""
        if self.monitor is not None:
            score = float(trainer.callback_metrics[self.monitor])
            score = -score if self.monitor.endswith(LOWER_IS_BETTER) else score
            score = score if isfinite(score) else -inf  # NaN would never be beaten
            if self.best is None or score > self.best:
                self.best = score
                self.best_metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
                trainer.save_checkpoint(self.folder / "best.ckpt")
        trainer.save_checkpoint(self.folder / "last.ckpt")
