"""Checkpoints: whole or not at all, plain data only."""

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from membrane import checkpoints
from membrane.errors import DataError


def content() -> dict:
    return {"membrane": {"schema": 1}, "state_dict": {"weight": torch.arange(6.0).reshape(2, 3)}, "epoch": 3}


def test_what_is_saved_comes_back_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "best.ckpt"
    checkpoints.save(content(), path)
    found = checkpoints.load(path)
    assert torch.equal(found["state_dict"]["weight"], torch.arange(6.0).reshape(2, 3))
    assert found["epoch"] == 3
    digest = (path.parent / "best.ckpt.sha256").read_text().split()[0]
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(each.name for each in path.parent.iterdir()) == ["best.ckpt", "best.ckpt.sha256"]


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_noticed(tmp_path: Path, place: int, bit: int) -> None:
    path = tmp_path / "last.ckpt"
    checkpoints.save(content(), path)
    damaged = bytearray(path.read_bytes())
    damaged[place % len(damaged)] ^= 1 << bit
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"last\.ckpt: damaged"):
        checkpoints.load(path)


class Harm:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "harmed"
    torch.save({"membrane": {}, "state_dict": Harm(witness)}, tmp_path / "evil.ckpt")
    with pytest.raises(DataError, match="not a checkpoint of plain data"):
        checkpoints.load(tmp_path / "evil.ckpt")
    assert not witness.exists()


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], torch.zeros(3)])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(DataError, match="not a checkpoint of membrane"):
        checkpoints.load(tmp_path / "other.ckpt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.ckpt: no such checkpoint"):
        checkpoints.load(tmp_path / "gone.ckpt")


def test_the_best_is_no_epoch_without_a_score_once_there_is_another(tmp_path: Path) -> None:
    class Trainer:
        callback_metrics: dict[str, torch.Tensor]

        def save_checkpoint(self, path: Path) -> None:
            path.write_text(str(self.callback_metrics["val/loss"].item()))

    trainer, keeper = Trainer(), checkpoints.KeepBestAndLast(tmp_path, "val/loss", {})
    for loss, best in ((float("nan"), "nan"), (1.0, "1.0"), (0.5, "0.5"), (float("nan"), "0.5"), (0.75, "0.5")):
        trainer.callback_metrics = {"val/loss": torch.tensor(loss)}
        keeper.on_train_epoch_end(trainer, None)
        assert (tmp_path / "best.ckpt").read_text() == best
