"""When checkpoints are written, and what is best."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from run_paths import only
from torch import nn

from membrane.errors import NotFinite
from membrane.runs.stopping import Stop
from membrane.training import checkpoints
from membrane.training.checkpointing import KeepBestAndLast, count_in_smaller_pieces

ABOUT = {"fingerprint": "0", "pieces": 1}
Run = Callable[..., int]
LEAST = ("logger=csv", "model=smlp", "model.units=[16]", "timesteps=2", "threads=1", "epochs=2", "figures=false")


class Trainer(SimpleNamespace):
    """The part of Lightning's trainer that the callback uses."""

    def save_checkpoint(self, path: Path) -> None:
        checkpoints.write_checkpoint({"membrane": {}, "state_dict": {}, "step": self.global_step}, path)


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(
        lightning_module=nn.Linear(2, 1),
        current_epoch=0,
        global_step=0,
        num_training_batches=10,
        accumulate_grad_batches=1,
        should_stop=False,
        callback_metrics={},
    )


def test_the_best_is_no_epoch_without_a_score_once_there_is_another(tmp_path: Path, trainer: Trainer) -> None:
    keeper = KeepBestAndLast(tmp_path, "val/loss", ABOUT, Stop())
    for step, (loss, best) in enumerate(((float("nan"), 0), (1.0, 1), (0.5, 2), (float("nan"), 2), (0.75, 2))):
        trainer.callback_metrics, trainer.global_step = {"val/loss": torch.tensor(loss)}, step
        keeper.on_train_epoch_end(trainer, trainer.lightning_module)
        assert checkpoints.read_checkpoint(tmp_path / "best.ckpt")["step"] == best
        assert checkpoints.read_checkpoint(tmp_path / "last.ckpt")["step"] == step
        if step:
            assert checkpoints.read_checkpoint(tmp_path / "previous.ckpt")["step"] == step - 1


def test_last_is_written_every_so_many_optimiser_steps_and_minutes(tmp_path: Path, trainer: Trainer) -> None:
    now = 0.0
    trainer.accumulate_grad_batches, trainer.num_training_batches = 2, 20
    keeper = KeepBestAndLast(tmp_path, None, ABOUT, Stop(), steps=3, minutes=1.0, clock=lambda: now)
    keeper.on_fit_start(trainer, trainer.lightning_module)
    written = []
    for batch in range(20):
        now += 10.0 if batch >= 14 else 0.0
        trainer.global_step = (batch + 1) // 2
        keeper.on_train_batch_end(trainer, trainer.lightning_module, None, None, batch)
        if (tmp_path / "last.ckpt").exists():
            step = checkpoints.read_checkpoint(tmp_path / "last.ckpt")["step"]
            written += [step] if [step] != written[-1:] else []
    # steps 3, 6, 9; the minute that began at step 6 is over at step 10, which is the epoch's end and not written here
    assert written == [3, 6, 9]
    now += 60.0
    keeper.on_train_batch_end(trainer, trainer.lightning_module, None, None, 1)
    assert checkpoints.read_checkpoint(tmp_path / "last.ckpt")["step"] == 10


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path, trainer: Trainer) -> None:
    keeper = KeepBestAndLast(tmp_path, None, ABOUT, Stop(), steps=1)
    keeper.on_train_batch_end(trainer, trainer.lightning_module, None, None, 0)
    before = (tmp_path / "last.ckpt").read_bytes()
    trainer.global_step = 2
    with torch.no_grad():
        trainer.lightning_module.bias.fill_(float("inf"))
    with pytest.raises(NotFinite, match="a weight is no finite number after epoch 0, step 2"):
        keeper.on_train_batch_end(trainer, trainer.lightning_module, None, None, 1)
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_counting_in_smaller_pieces() -> None:
    # saved in the hook after batch 3 of 10: three are ready, started and processed, two completed
    saved = {"ready": 3, "started": 3, "processed": 3, "completed": 2}
    loops = {
        "epoch_loop.batch_progress": {"current": dict(saved), "total": dict(saved)},
        "state_dict": {"combined_loader": [{"step": 3}]},
    }
    count_in_smaller_pieces(loops, 4)
    assert loops["epoch_loop.batch_progress"]["current"] == {
        "ready": 12,
        "started": 12,
        "processed": 12,
        "completed": 11,
    }
    assert loops["state_dict"]["combined_loader"] == [{"step": 12}]


def test_killed_between_last_and_best_the_best_is_not_lost(
    membrane: Run, remains: Callable[[Path], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert membrane(*LEAST, "name=whole") == 0
    link_checkpoint = checkpoints.link_checkpoint

    def dies(source: Path, path: Path) -> None:
        if path.name == "best.ckpt" and checkpoints.read_checkpoint(source)["global_step"] == 40:
            raise RuntimeError("killed")
        link_checkpoint(source, path)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "link_checkpoint", dies)
        assert membrane(*LEAST, "name=broken") == 1
    assert membrane(*LEAST, "name=broken") == 0
    assert remains(only("broken/*/seed0")) == remains(only("whole/*/seed0"))
