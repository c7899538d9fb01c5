"""The loop over batches beside Lightning's own: the same hooks in order, counters, weights and states of the loops."""

from pathlib import Path
from typing import Any

import fits
import lightning as L
import pytest
import torch
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from membrane.data.feed.module import DataModule
from membrane.learner import Learner
from membrane.training import assembly
from membrane.training.epoch_loop import HOOKS, EpochLoop


class Listener(L.Callback):
    """Notes each hook of a step, with the trainer's counters at that moment and what the hook gets."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.loops: list[Any] = []

    def note(self, hook: str, trainer: L.Trainer, *given: Any) -> None:
        loop = trainer.fit_loop.epoch_loop
        counters = (loop.batch_progress, loop.automatic_optimization.optim_progress, loop.scheduler_progress)
        plain = [each for each in given if isinstance(each, int | float)]
        self.heard.append((hook, trainer.global_step, *[repr(each) for each in counters], *plain))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.note("on_train_batch_start", trainer, batch_idx, int(batch.index[0]))

    def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.note("on_before_zero_grad", trainer, optimizer.param_groups[0]["lr"])

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        self.note("on_before_backward", trainer, loss.requires_grad, loss.item())

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        self.note("on_after_backward", trainer, *[float(each.grad.sum()) for each in pl_module.parameters()])

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.note("on_before_optimizer_step", trainer, optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        pl_module.log("listened", outputs["loss"])
        self.note("on_train_batch_end", trainer, batch_idx, outputs["loss"].requires_grad, outputs["loss"].item())

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.loops.append((repr(trainer.fit_loop.state_dict()), trainer.callback_metrics["listened"].item()))


def fitted(folder: Path, patched: pytest.MonkeyPatch, loop: type, *typed: str) -> tuple[Learner, Listener]:
    folder.mkdir()
    listener = Listener()
    patched.setattr(fits, "build_callbacks", lambda _: [listener])
    if loop is not EpochLoop:
        patched.setattr(assembly, "loop_directly", lambda _: None)
    learner = fits.fit(folder, "epochs=2", "batch_size=256", *typed)
    assert type(learner.trainer.fit_loop.epoch_loop) is loop
    return learner, listener


@pytest.mark.parametrize("typed", [("scheduler=one_cycle",), ("optimizer=adamw", "scheduler=cosine")])
def test_a_step_is_lightnings_in_hooks_counters_and_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...]
) -> None:
    ours, heard = fitted(tmp_path / "ours", monkeypatch, EpochLoop, *typed)
    theirs, expected = fitted(tmp_path / "theirs", monkeypatch, _TrainingEpochLoop, *typed)
    assert [each[0] for each in heard.heard[:6]] == list(HOOKS)
    assert heard.heard == expected.heard
    assert heard.loops == expected.loops
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert repr(ours.trainer.optimizers[0].state_dict()) == repr(theirs.trainer.optimizers[0].state_dict())


def test_hooks_that_no_callback_has_are_not_called(tmp_path: Path) -> None:
    loop: Any = fits.fit(tmp_path, "epochs=1", "batch_size=256").trainer.fit_loop.epoch_loop
    assert loop.ordinary
    assert loop.heard == {"on_before_optimizer_step", "on_train_batch_end"}  # the recorder's


@pytest.mark.parametrize("typed", ["trainer.clip_norm=1.0", "trainer.accumulate=2", "precision=bf16-mixed"])
def test_other_steps_are_lightnings(tmp_path: Path, typed: str) -> None:
    loop: Any = fits.fit(tmp_path, "epochs=1", "batch_size=512", typed).trainer.fit_loop.epoch_loop
    assert not loop.ordinary
    assert loop.batch_progress.total.completed == 3


class OwnLearner(Learner):
    """Has a hook of its own."""

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        CALLED.append("on_before_optimizer_step")


class OwnData(DataModule):
    """Has a hook of its own."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if self.trainer.training:
            CALLED.append("on_after_batch_transfer")
        return batch


CALLED: list[str] = []


@pytest.mark.parametrize(
    ("name", "own", "hook"),
    [("Learner", OwnLearner, "on_before_optimizer_step"), ("DataModule", OwnData, "on_after_batch_transfer")],
)
def test_hooks_of_own_subclasses_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, own: type, hook: str
) -> None:
    monkeypatch.setattr(assembly, name, own)
    CALLED.clear()
    fits.fit(tmp_path, "epochs=1", "batch_size=512")
    assert [hook] * 3 == CALLED
