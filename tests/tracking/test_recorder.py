"""The recorder: which rows are written when, the firing rates in them, and what a resumed run goes on from."""

import logging
from collections import OrderedDict
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.framework import MultiStep
from membrane.learner import Learner
from membrane.losses import CrossEntropy
from membrane.metrics import Classification
from membrane.readout import Mean
from membrane.runs.table import read_rows
from membrane.tracking import recorder as module
from membrane.tracking.recorder import Recorder

COLUMNS = "epoch,step,seconds,lr,train/loss,train/acc"
AFTER_EPOCH = "loss,acc,balanced_acc,precision,recall,f1"


class Tracker:
    """Keeps the rows that it is given, with their steps."""

    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, float], int]] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.rows.append((dict(values), step))


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "perf_counter", clock)
    return clock


def accumulators(*norm: nn.Module) -> nn.Module:
    """IF neurons of threshold 1 and reset to 0: at 1 they fire at each timestep, at 0.5 at every second, at 0 never."""
    layers = [(f"norm{position}", each) for position, each in enumerate(norm)]
    return nn.Sequential(OrderedDict([*layers, ("spikes", neuron.IFNode())]))


def learner(model: nn.Module | None = None, validation: str = "val") -> Learner:
    return Learner(
        model=model or accumulators(),
        framework=MultiStep(4),
        readout=Mean(),
        loss=CrossEntropy(Mean()),
        augmentation=Pipeline({}, classes=2, timesteps_in_data=False, seed=0),
        metrics=partial(Classification, 2),
        seed=0,
        optimize=lambda module: torch.optim.SGD(module.parameters(), lr=0.5),
        schedule=lambda optimizer, steps, epochs: {},
        validation=validation,
    )


def trainer() -> SimpleNamespace:
    """Return the part of Lightning's trainer that the callback uses."""
    return SimpleNamespace(
        current_epoch=0,
        global_step=0,
        num_training_batches=5,
        accumulate_grad_batches=1,
        callback_metrics={},
    )


def batch(*inputs: float, lengths: list[int] | None = None) -> Batch:
    """Return a batch of a sample [2] for each input, all of class 0."""
    n = len(inputs)
    x = torch.tensor(inputs).reshape(n, 1).expand(n, 2)
    valid = None if lengths is None else torch.tensor(lengths)
    return Batch(x, torch.zeros(n, dtype=torch.int64), valid, torch.arange(n), torch.arange(n))


def count(its_learner: Learner) -> None:
    """Count three training samples, of loss 0.25, of which two are right."""
    outputs = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    its_learner.training_metrics.update(outputs, torch.zeros(3, dtype=torch.int64), torch.tensor(0.25))


def train_batch(recorder: Recorder, its_trainer: SimpleNamespace, its_learner: Learner, index: int, step: int) -> None:
    """Train on a batch of three samples, as Lightning does; the learning rate is a tenth of the step's number."""
    if step > its_trainer.global_step:
        optimizer = SimpleNamespace(param_groups=[{"lr": step / 10}, {"lr": 9.0}])
        recorder.on_before_optimizer_step(its_trainer, its_learner, optimizer)
    its_trainer.global_step = step
    count(its_learner)
    recorder.on_train_batch_end(its_trainer, its_learner, None, batch(0.0, 0.0, 0.0), index)


def validate(recorder: Recorder, its_trainer: SimpleNamespace, its_learner: Learner, *batches: Batch) -> None:
    """Run the model on batches as validation does, and publish what it measured."""
    recorder.on_validation_start(its_trainer, its_learner)
    for index, each in enumerate(batches):
        recorder.on_validation_batch_start(its_trainer, its_learner, each, index)
        its_learner.framework(its_learner.model, each.x, each.lengths)
    recorder.on_validation_end(its_trainer, its_learner)
    names = AFTER_EPOCH.split(",")
    measured = {f"{its_learner.validation}/{name}": torch.tensor(0.5 + n) for n, name in enumerate(names)}
    its_trainer.callback_metrics.update(measured)


def test_columns_are_fixed_before_the_first_row(tmp_path: Path) -> None:
    for validation, measured, after_epoch in (
        ("val", True, ",".join(f"val/{name}" for name in AFTER_EPOCH.split(",")) + ","),
        ("oracle", True, ",".join(f"oracle/{name}" for name in AFTER_EPOCH.split(",")) + ","),
        ("val", False, ""),
    ):
        path = tmp_path / f"{validation}{measured}.csv"
        its_learner = learner(validation=validation)
        Recorder(path, its_learner, Tracker(), 1, measured).on_train_start(trainer(), its_learner)
        assert path.read_text().strip() == f"{COLUMNS},{after_epoch}rate/spikes,mean/spikes"


def test_a_row_every_so_many_steps_and_one_after_the_epoch(tmp_path: Path, clock: Clock) -> None:
    tracker, its_trainer, its_learner = Tracker(), trainer(), learner()
    recorder = Recorder(tmp_path / "m.csv", its_learner, tracker, 2, True)
    clock.now = 110.0
    recorder.on_train_start(its_trainer, its_learner)
    for index in range(5):
        clock.now += 1.0
        train_batch(recorder, its_trainer, its_learner, index, index + 1)
    assert recorder.samples == 15
    validate(recorder, its_trainer, its_learner, batch(1.0, 0.5))
    its_trainer.callback_metrics["val/acc"] = torch.tensor(0.75)
    recorder.on_train_epoch_end(its_trainer, its_learner)
    training = {"epoch": 0, "train/loss": 0.25, "train/acc": pytest.approx(2 / 3, rel=1e-9)}
    macro = {"val/balanced_acc": 2.5, "val/precision": 3.5, "val/recall": 4.5, "val/f1": 5.5}
    epoch = {"val/loss": 0.5, "val/acc": 0.75, **macro}
    rows = read_rows(tmp_path / "m.csv")
    assert rows == [
        {**training, "step": 2, "seconds": 2.0, "lr": 0.2},
        {**training, "step": 4, "seconds": 4.0, "lr": 0.4},
        {**training, "step": 5, "seconds": 5.0, "lr": 0.5},  # the rest of the epoch
        {"epoch": 0, "step": 5, "seconds": 5.0, "lr": 0.5, **epoch, "rate/spikes": 0.75, "mean/spikes": 0.75},
    ]
    assert [step for _, step in tracker.rows] == [2, 4, 5, 5]
    assert [row for row, _ in tracker.rows] == [pytest.approx(row, rel=1e-9) for row in rows]


def test_small_batches_that_make_a_step_together_make_one_row(tmp_path: Path) -> None:
    tracker, its_trainer, its_learner = Tracker(), trainer(), learner()
    recorder = Recorder(tmp_path / "m.csv", its_learner, tracker, 1, True)
    recorder.on_train_start(its_trainer, its_learner)
    its_trainer.accumulate_grad_batches = 2
    for index, step in enumerate((0, 1, 1, 2, 3)):  # the last of the epoch makes a step alone
        train_batch(recorder, its_trainer, its_learner, index, step)
    assert [step for _, step in tracker.rows] == [1, 2, 3]


def test_the_progress_bar_sees_a_rows_numbers_and_then_those_of_the_whole_epoch(tmp_path: Path) -> None:
    its_trainer, its_learner = trainer(), learner()
    recorder = Recorder(tmp_path / "m.csv", its_learner, Tracker(), 1, True)
    recorder.on_train_start(its_trainer, its_learner)
    train_batch(recorder, its_trainer, its_learner, 0, 1)
    assert its_trainer.callback_metrics == {"train/loss": torch.tensor(0.25), "train/acc": torch.tensor(2 / 3)}
    wrong = torch.tensor([[0.0, 1.0]])
    its_learner.training_metrics.update(wrong, torch.zeros(1, dtype=torch.int64), torch.tensor(1.25))
    validate(recorder, its_trainer, its_learner, batch(1.0))
    recorder.on_train_epoch_end(its_trainer, its_learner)
    assert its_trainer.callback_metrics["train/loss"] == torch.tensor((3 * 0.25 + 1.25) / 4)
    assert its_trainer.callback_metrics["train/acc"] == torch.tensor(2 / 4)


def test_rates_are_those_of_the_last_validation_up_to_each_samples_length(tmp_path: Path) -> None:
    tracker, its_trainer, its_learner = Tracker(), trainer(), learner()
    recorder = Recorder(tmp_path / "m.csv", its_learner, tracker, 1, True)
    recorder.on_train_start(its_trainer, its_learner)
    for batches, rate in (
        ([batch(0.0)], 0.0),
        ([batch(1.0), batch(0.5)], 6 / 8),
        ([batch(0.5, 1.0, lengths=[1, 2])], 2 / 3),  # at 0.5 the first spike comes at the second timestep
    ):
        validate(recorder, its_trainer, its_learner, *batches)
        its_learner.framework(its_learner.model, batch(0.0).x)  # outside validation nothing is counted
        count(its_learner)
        recorder.on_train_epoch_end(its_trainer, its_learner)
        assert tracker.rows[-1][0]["rate/spikes"] == tracker.rows[-1][0]["mean/spikes"] == rate


@pytest.mark.parametrize(("validation", "measured"), [("val", False), ("oracle", True)])
def test_without_a_validation_part_rates_are_measured_on_training_samples(
    validation: str, measured: bool, tmp_path: Path
) -> None:
    tracker, its_trainer, its_learner = Tracker(), trainer(), learner(validation=validation)
    modes: list[tuple[bool, bool]] = []
    its_learner.model.register_forward_hook(lambda model, *_: modes.append((model.training, torch.is_grad_enabled())))
    recorder = Recorder(tmp_path / "m.csv", its_learner, tracker, 1, measured)
    recorder.on_train_start(its_trainer, its_learner)
    fixed = [batch(1.0, 1.0), batch(0.5, 0.0, lengths=[2, 4])]
    moved: list[Batch] = []

    def move(batch: Batch, device: torch.device, _: int) -> Batch:
        moved.append(batch)
        assert device == its_learner.device
        return batch

    its_trainer.datamodule = SimpleNamespace(fixed_training_samples=lambda: iter(fixed), transfer_batch_to_device=move)
    for _ in range(2):
        validate(recorder, its_trainer, its_learner, batch(1.0))  # the test set's, of which no rates are taken
        modes.clear()
        count(its_learner)
        recorder.on_train_epoch_end(its_trainer, its_learner)
        assert tracker.rows[-1][0]["rate/spikes"] == pytest.approx((8 * 2 + 1 * 2) / (4 * 2 * 2 + (2 + 4) * 2))
        assert modes == [(False, False)] * 2
        assert its_learner.training
    assert moved == [*fixed, *fixed], "each whole batch goes to the device, its lengths too"


def test_a_resumed_run_goes_on_with_its_clock_samples_and_rows(tmp_path: Path, clock: Clock) -> None:
    its_trainer, its_learner = trainer(), learner()
    recorder = Recorder(tmp_path / "m.csv", its_learner, Tracker(), 1, True)
    recorder.on_train_start(its_trainer, its_learner)
    clock.now = 107.0
    train_batch(recorder, its_trainer, its_learner, 0, 1)
    state = recorder.state_dict()
    kept = (tmp_path / "m.csv").read_bytes()
    assert state == {"seconds": 7.0, "samples": 3, "lr": 0.1, "bytes": len(kept)}
    train_batch(recorder, its_trainer, its_learner, 1, 2)
    clock.now = 1000.0
    second = Recorder(tmp_path / "m.csv", its_learner, Tracker(), 1, True)
    second.load_state_dict(state)
    assert (tmp_path / "m.csv").read_bytes() == kept
    clock.now = 1002.0
    second.on_train_start(its_trainer, its_learner)
    assert (second.seconds(), second.lr) == (9.0, 0.1)
    train_batch(second, its_trainer, its_learner, 1, 2)
    assert second.samples == 6
    assert [row["step"] for row in read_rows(tmp_path / "m.csv")] == [1, 2]


def test_a_run_of_an_earlier_version_goes_on_with_the_columns_that_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    its_trainer, its_learner, path = trainer(), learner(), tmp_path / "m.csv"
    columns = f"{COLUMNS},val/loss,val/acc,val/balanced_acc,val/f1,rate/spikes,mean/spikes\r\n"
    path.write_bytes(f"{columns}0,1,0.5,0.1,2.5,0.5,,,,,,\r\n0,2".encode())
    tracker = Tracker()
    recorder = Recorder(path, its_learner, tracker, 1, True)
    recorder.load_state_dict({"seconds": 0.5, "samples": 3, "bytes": len(path.read_bytes()) - len("0,2")})
    recorder.on_train_start(its_trainer, its_learner)
    assert caplog.messages == ["metrics.csv: begun by an earlier version, it goes on without val/precision, val/recall"]
    train_batch(recorder, its_trainer, its_learner, 1, 2)
    validate(recorder, its_trainer, its_learner, batch(1.0))
    recorder.on_train_epoch_end(its_trainer, its_learner)
    assert path.read_bytes().startswith(columns.encode())
    assert [row["step"] for row in read_rows(path)] == [1, 2, 2]
    assert (read_rows(path)[-1]["val/acc"], read_rows(path)[-1]["val/f1"]) == (1.5, 5.5)
    assert tracker.rows[-1][0]["val/recall"] == 4.5  # what has no column reaches the tracker all the same


def test_a_checkpoint_that_does_not_know_the_last_rate_leaves_the_cell_empty(tmp_path: Path) -> None:
    tracker, its_trainer = Tracker(), trainer()
    recorder = Recorder(tmp_path / "m.csv", learner(), tracker, 1, True)
    recorder.table.create()
    recorder.load_state_dict({"seconds": 1.0, "samples": 2, "bytes": recorder.table.flush()})
    its_trainer.current_epoch, its_trainer.global_step = 3, 7
    recorder.write(its_trainer, {})
    [row] = read_rows(tmp_path / "m.csv")
    assert set(row) == set(tracker.rows[0][0]) == {"epoch", "step", "seconds"}
    assert (row["epoch"], row["step"]) == (3, 7)


def test_layers_that_are_silent_or_saturated_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def warnings(model: nn.Module, step: int, value: float) -> list[str]:
        its_trainer, its_learner = trainer(), learner(model)
        its_trainer.current_epoch, its_trainer.global_step = 3, step
        path = tmp_path / f"{step}.{len(list(tmp_path.iterdir()))}.csv"
        recorder = Recorder(path, its_learner, Tracker(), 1, True)
        recorder.on_train_start(its_trainer, its_learner)
        validate(recorder, its_trainer, its_learner.eval(), batch(value))
        count(its_learner)
        caplog.clear()
        recorder.on_train_epoch_end(its_trainer, its_learner)
        return caplog.messages

    caplog.set_level(logging.WARNING)
    silent = "epoch 3: spikes is silent (0.00 % of outputs non-zero): "
    remedy = f"{silent}lower v_threshold or raise its input (gain, learning rate)"
    assert warnings(accumulators(), 1, 0.5) == []
    assert warnings(accumulators(), 1, 0.0) == [remedy]
    normed = accumulators(layer.BatchNorm1d(2, step_mode="m"))
    assert warnings(normed, 99, 0.0) == [f"{silent}batch norm's running statistics are young"]
    assert warnings(normed, 100, 0.0) == [remedy]
