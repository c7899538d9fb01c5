"""Measuring a run's checkpoints on its test set: the part that `train` and `evaluate` share."""

from dataclasses import dataclass
from pathlib import Path

import lightning as L
import numpy as np
import torch

from membrane.data.feed.module import DataModule
from membrane.learner import Learner
from membrane.schema import Config
from membrane.training import checkpoints
from membrane.training.assembly import build_trainer


@dataclass(frozen=True)
class Test:
    """What one checkpoint scored on the test set: `loss`, `acc`, … and the arrays of `outputs/test.npz`."""

    metrics: dict[str, float]
    outputs: dict[str, np.ndarray]
    checkpoint: Path


def test_checkpoints(config: Config, learner: Learner, data: DataModule, folder: Path) -> dict[str, Test]:
    """`test`: the checkpoint that the protocol selects; `test_last`: the last epoch's."""
    trainer = build_trainer(config, folder)
    last = test(trainer, learner, data, folder / "checkpoints" / "last.ckpt")
    if config.protocol != "val_best":
        return {"test": last, "test_last": last}
    return {"test_last": last, "test": test(trainer, learner, data, folder / "checkpoints" / "best.ckpt")}


def test(trainer: L.Trainer, learner: Learner, data: DataModule, checkpoint: Path) -> Test:
    """The learner with a checkpoint's weights on the test set."""
    checkpoints.load_weights(learner, checkpoints.read_checkpoint(checkpoint)["state_dict"])
    trainer.test(learner, datamodule=data, verbose=False)
    metrics = {name.removeprefix("test/"): float(value) for name, value in trainer.callback_metrics.items()}
    names = learner.collected[0]
    outputs = {name: torch.cat([batch[name] for batch in learner.collected]).numpy() for name in names}
    return Test(metrics, outputs, checkpoint)
