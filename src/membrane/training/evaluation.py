"""Measuring a run's checkpoints on its test set: the part that `train` and `evaluate` share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from membrane.config.redaction import published
from membrane.data.feed.module import DataModule
from membrane.files.digest import sha256
from membrane.files.durable import write_json
from membrane.learner import Learner
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import checkpoint_of
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.tracking.log import silence_libraries
from membrane.training import checkpoints
from membrane.training.assembly import build_data, build_learner, build_trainer, set_arithmetic


@dataclass(frozen=True)
class CheckpointTest:
    """The scores of a checkpoint on the test set (`loss`, `acc`, …) and the arrays of outputs/test.npz.

    ``epoch`` and ``step`` are those of metrics.csv at which the checkpoint was written.
    """

    metrics: dict[str, float]
    outputs: dict[str, np.ndarray]
    checkpoint: Path
    epoch: int
    step: int


def test_checkpoints(config: Config, learner: Learner, data: DataModule, folder: Path) -> dict[str, CheckpointTest]:
    """Test the checkpoint that the protocol selects → `test`, and that of the last epoch → `test_last`."""
    trainer = build_trainer(config, folder)
    last = test_checkpoint(trainer, learner, data, folder / "checkpoints" / "last.ckpt")
    if config.protocol != "val_best":
        return {"test": last, "test_last": last}
    return {"test_last": last, "test": test_checkpoint(trainer, learner, data, folder / "checkpoints" / "best.ckpt")}


def test_checkpoint(trainer: L.Trainer, learner: Learner, data: DataModule, checkpoint: Path) -> CheckpointTest:
    """Load a checkpoint's weights into the learner and test it."""
    content = checkpoints.read_checkpoint(checkpoint)
    checkpoints.load_weights(learner, content["state_dict"])
    trainer.test(learner, datamodule=data, verbose=False)
    metrics = {name.removeprefix("test/"): float(value) for name, value in trainer.callback_metrics.items()}
    names = learner.collected[0]
    outputs = {name: torch.cat([batch[name] for batch in learner.collected]).numpy() for name in names}
    return CheckpointTest(metrics, outputs, checkpoint, content["epoch"], content["global_step"])


def measure_run(run: Path, config: Config) -> tuple[dict[str, float], Path]:
    """Return `test/*` of the checkpoint that a run's protocol selects, under ``config``, and that checkpoint."""
    set_arithmetic(config)
    learner = build_learner(config)
    data = build_data(config, learner)
    data.setup()
    with silence_libraries():
        tested = test_checkpoint(build_trainer(config, run), learner, data, checkpoint_of(run))
    return {f"test/{name}": value for name, value in tested.metrics.items()}, tested.checkpoint


def write_evaluation(
    run: Path,
    result: Mapping[str, Any],
    config: Config,
    changes: Sequence[str],
    metrics: Mapping[str, float],
    checkpoint: Path,
) -> None:
    """Write evaluations/<fingerprint>.json: metrics, configuration, digest of the weights."""
    content = {
        "what": "test",
        "overrides": [masked_override(change) for change in changes],
        "config": published(config),
        "metrics": dict(metrics),
        "checkpoint_sha256": sha256(checkpoint),
        "parent": {"fingerprint": result["fingerprint"], "seed": result["seed"]},
    }
    write_json(run / "evaluations" / f"{fingerprint(config)}.json", content)


def unequal_metrics(
    recorded: Mapping[str, float], measured: Mapping[str, float]
) -> dict[str, tuple[float | None, float]]:
    """Return name → (recorded, measured) of every number that differs, if only in the last digit."""
    return {name: (recorded.get(name), value) for name, value in measured.items() if recorded.get(name) != value}
