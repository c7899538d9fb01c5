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
from membrane.errors import DataError
from membrane.files.digest import sha256
from membrane.files.durable import write_json
from membrane.learner import Learner
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import selected_checkpoint
from membrane.runs.saved import RESULT
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.tracking.log import silence_libraries
from membrane.training import checkpoints
from membrane.training.assembly import build_data, build_learner, build_trainer, set_arithmetic
from membrane.training.initial import require_unseen_test_share
from membrane.training.padding import refuse_padding
from membrane.training.recordings import measure_recordings


@dataclass(frozen=True)
class CheckpointTest:
    """The scores of a checkpoint on the test set (`loss`, `acc`, …) and the arrays of outputs/test.npz.

    ``epoch`` and ``step`` are those of metrics.csv at which the checkpoint was written; ``completed`` of ``epochs``
    epochs were over then.
    """

    metrics: dict[str, float]
    outputs: dict[str, np.ndarray]
    checkpoint: Path
    epoch: int
    step: int
    completed: int
    epochs: int


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
    epoch, step, completed, epochs = moment_of(content)
    checkpoints.load_weights(learner, content["state_dict"])
    trainer.test(learner, datamodule=data, verbose=False)
    metrics = {name.removeprefix("test/"): float(value) for name, value in trainer.callback_metrics.items()}
    names = learner.collected[0]
    outputs = {name: torch.cat([batch[name] for batch in learner.collected]).numpy() for name in names}
    part = data.parts["test"]
    if part.group is not None:
        outputs["group"] = part.group.numpy()[np.searchsorted(part.index.numpy(), outputs["index"])]
    if (classes := part.classes) is not None:
        outputs["classes"] = np.array(classes)
    return CheckpointTest(metrics, outputs, checkpoint, epoch, step, completed, epochs)


def moment_of(content: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return epoch and step at which a checkpoint was written, and how many of how many epochs were over then.

    Raises DataError if it does not say.
    """
    completed = checkpoints.completed_epochs(content)
    config = content["membrane"].get("config")
    epoch, step = content.get("epoch"), content.get("global_step")
    epochs = config.get("epochs") if isinstance(config, dict) else None
    if not (isinstance(epoch, int) and isinstance(step, int) and isinstance(epochs, int)):
        raise DataError("the checkpoint does not say at which epoch and step it was written")
    return epoch, step, completed, epochs


def restored(checkpoint: Path, config: Config) -> tuple[Learner, DataModule]:
    """Build learner and data that ``config`` describes, with a checkpoint's weights.

    Raises ConfigError if they do not fit, DataError if the weights were trained on what is the test set here.
    """
    set_arithmetic(config)
    learner = build_learner(config)
    checkpoints.load_weights(learner, checkpoints.read_checkpoint(checkpoint)["state_dict"])  # before data are fetched
    data = build_data(config, learner)
    data.setup()
    require_unseen_test_share(checkpoint, config.dataset, data.division)
    refuse_padding(config, data)
    measure_recordings(learner, data)
    return learner, data


def measure_checkpoint(checkpoint: Path, config: Config) -> tuple[CheckpointTest, dict[str, float]]:
    """Test a checkpoint under ``config`` and return that with its scores as `test/*`."""
    learner, data = restored(checkpoint, config)
    with silence_libraries():
        tested = test_checkpoint(build_trainer(config, checkpoint.parent), learner, data, checkpoint)
    return tested, {f"test/{name}": value for name, value in tested.metrics.items()}


def unfinished_line(path: Path, tested: CheckpointTest) -> str:
    """Return a line that says of what state of an unfinished run, or of which checkpoint alone, the numbers are."""
    subject = path if path.is_file() else f"{path} is unfinished: its {tested.checkpoint.name}"
    return f"{subject} was written at step {tested.step}, after {tested.completed} of {tested.epochs} epochs"


def write_evaluation(
    run: Path,
    parent: Mapping[str, Any],
    config: Config,
    changes: Sequence[str],
    metrics: Mapping[str, float],
    tested: CheckpointTest,
    anytime: Mapping[str, Any] | None = None,
) -> None:
    """Write evaluations/<fingerprint>.json: metrics, configuration, digest of the weights.

    Of a checkpoint other than the selected one it is <fingerprint>.<name>.json.

    Arguments:
        run: the run's folder.
        parent: its fingerprint and seed.
        config: the configuration that was measured.
        changes: the overrides by which it is another than the run's.
        metrics: the scores.
        tested: the test that they are of.
        anytime: the curves over timesteps and thresholds, written as <fingerprint>.anytime.json. None: none.
    """
    checkpoint = tested.checkpoint
    content = {
        "what": "test" if anytime is None else "anytime",
        "overrides": [masked_override(change) for change in changes],
        "config": published(config),
        "metrics": dict(metrics),
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256(checkpoint),
        "epoch": tested.epoch,
        "step": tested.step,
        "finished": (run / RESULT).is_file(),
        "parent": dict(parent),
        **(anytime or {}),
    }
    name = fingerprint(config) + ("" if checkpoint.name == selected_checkpoint(run) else f".{checkpoint.stem}")
    name += "" if anytime is None else ".anytime"
    write_json(run / "evaluations" / f"{name}.json", content)


def unequal_metrics(recorded: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return name → (recorded, measured) of every recorded number that differs, if only in the last digit.

    Scores that the version which recorded the run did not have yet are left out.
    """
    both = {name: (recorded[name], value) for name, value in measured.items() if name in recorded}
    return {name: (was, now) for name, (was, now) in both.items() if was != now}
