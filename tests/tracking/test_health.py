"""health.csv: a row an epoch, the same run with and without it, and rows that a resumed run goes on from."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import nn

from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.framework import MultiStep
from membrane.learner import Learner
from membrane.losses import CrossEntropy
from membrane.metrics import Classification
from membrane.readout import Mean
from membrane.runs.table import read_rows
from membrane.tracking.health import Health
from membrane.training import checkpoints

Train = Callable[..., int]


class Tracker:
    """Keeps the rows that it is given."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.rows.append(dict(values))


def learner(*modules: nn.Module) -> Learner:
    return Learner(
        model=nn.Sequential(*modules),
        framework=MultiStep(2),
        readout=Mean(),
        loss=CrossEntropy(Mean()),
        augmentation=Pipeline({}, classes=2, timesteps_in_data=False, seed=0),
        metrics=partial(Classification, 2),
        seed=0,
        optimize=lambda module: torch.optim.SGD(module.parameters(), lr=0.5),
        schedule=lambda optimizer, steps, epochs: {},
    )


def batch(*inputs: float) -> Batch:
    """Return a batch of a sample [2] for each input."""
    index = torch.arange(len(inputs))
    return Batch(torch.tensor(inputs).reshape(-1, 1).expand(-1, 2), torch.zeros_like(index), None, index, index)


def trainer_on(*inputs: float) -> Any:
    """Return the part of Lightning's trainer that the callback uses; the fixed training samples are the inputs."""
    data = SimpleNamespace(
        fixed_training_samples=lambda: iter([batch(*inputs)]), transfer_batch_to_device=lambda each, *_: each
    )
    return SimpleNamespace(current_epoch=0, global_step=0, datamodule=data)


def epoch(health: Health, trainer: Any, its_learner: Learner, *validated: float) -> None:
    """Go through an epoch of a validation batch and its end."""
    trainer.global_step += 200
    health.on_validation_start(trainer, its_learner)
    health.on_validation_batch_start(trainer, its_learner, batch(*validated), 0)
    its_learner.framework(its_learner.model, batch(*validated).x)
    health.on_validation_end(trainer, its_learner)
    health.on_train_epoch_end(trainer, its_learner)
    trainer.current_epoch += 1


def test_a_row_an_epoch_and_a_warning_once_a_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    its_learner, tracker, trainer = learner(neuron.IFNode()), Tracker(), trainer_on(0.5)
    health = Health(tmp_path / "health.csv", its_learner, tracker, 10, True)  # type: ignore[arg-type]
    health.on_train_start(trainer, its_learner)
    with caplog.at_level(logging.WARNING):
        epoch(health, trainer, its_learner, 0.0, 0.25)
        epoch(health, trainer, its_learner, 0.0)
        epoch(health, trainer, its_learner, 1.0)
    rows = read_rows(tmp_path / "health.csv")
    assert rows == tracker.rows
    assert [row["silent/0"] for row in rows] == [1.0, 1.0, 0.0]
    assert [row["saturated_channels/0"] for row in rows] == [0.0, 0.0, 1.0]
    assert [(row["epoch"], row["step"], row["active/0"]) for row in rows] == [(0, 200, 1), (1, 400, 1), (2, 600, 1)]
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" never")[0].partition(" always")[0] for line in lines] == [
        "health: epoch 0: 100 % of the neurons of 0",
        "health: epoch 2: 100 % of the neurons of 0",
    ]


def test_without_validation_neurons_are_counted_on_training_samples(tmp_path: Path) -> None:
    its_learner, trainer = learner(neuron.IFNode()), trainer_on(1.0, 0.0)
    health = Health(tmp_path / "health.csv", its_learner, Tracker(), 10, False)  # type: ignore[arg-type]
    health.on_train_start(trainer, its_learner)
    health.on_train_epoch_end(trainer, its_learner)
    [row] = read_rows(tmp_path / "health.csv")
    assert (row["silent/0"], row["saturated/0"]) == (0.0, 0.0)  # each neuron fires for one of the two samples
    assert its_learner.training


def test_gradients_are_measured_at_some_steps_and_their_sums_are_restored(tmp_path: Path) -> None:
    its_learner, trainer = learner(nn.Linear(2, 1, bias=False), neuron.IFNode()), trainer_on(1.0)
    parameter, optimizer = next(its_learner.model.parameters()), torch.optim.SGD(its_learner.parameters(), lr=0.1)
    health = Health(tmp_path / "health.csv", its_learner, Tracker(), 2, False)  # type: ignore[arg-type]
    health.on_train_start(trainer, its_learner)
    for step in range(5):
        parameter.grad, trainer.global_step = torch.tensor([[0.0, float(step)]]), step
        health.on_before_optimizer_step(trainer, its_learner, optimizer)
    again = Health(tmp_path / "health.csv", its_learner, Tracker(), 2, False)  # type: ignore[arg-type]
    again.load_state_dict(health.state_dict())
    again.on_train_epoch_end(trainer, its_learner)
    assert read_rows(tmp_path / "health.csv")[-1]["gradient/0"] == (0 + 2 + 4) / 3
    again.on_before_optimizer_step(SimpleNamespace(global_step=5), its_learner, optimizer)  # type: ignore[arg-type]
    assert again.gradients.means() == {"0": 4.0}  # the first step after a row, whatever its number


def test_a_run_with_health_is_the_same_run_and_goes_on_with_its_rows(
    small: Train, stop_at: Callable[[int], None], tmp_path: Path
) -> None:
    whole = ("epochs=3", "neuron=plif", "name=whole")
    assert small(*whole) == 0
    assert small(*whole[:2], "name=watched", "trainer.health=true") == 0
    stop_at(24 + 10)  # in the second epoch
    assert small(*whole[:2], "name=stopped", "trainer.health=true") == 75
    assert small(*whole[:2], "name=stopped", "trainer.health=true") == 0
    runs = {name: next(Path("runs", name).glob("*/seed0")) for name in ("whole", "watched", "stopped")}
    assert runs["whole"].parent.name == runs["watched"].parent.name
    states = [checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in runs.values()]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
        assert torch.equal(value, states[2][name]), name
    assert not (runs["whole"] / "health.csv").exists()
    table = (runs["watched"] / "health.csv").read_bytes()
    assert (runs["stopped"] / "health.csv").read_bytes() == table
    rows = read_rows(runs["watched"] / "health.csv")
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    [plif] = [name for name in rows[0] if name.startswith("tau/")]
    state = checkpoints.read_checkpoint(runs["watched"] / "checkpoints" / "last.ckpt")["state_dict"]
    w = state[f"model.{plif.removeprefix('tau/')}.w"]
    assert rows[-1][plif] == pytest.approx(1 / torch.sigmoid(w).item(), rel=1e-6)
