"""Which epoch's checkpoint is the best: that of the highest score, and among its equals the one of the lowest loss."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_paths import only

from membrane.data.digits import Digits
from membrane.report import figures
from membrane.report.curves import NothingToDraw
from membrane.runs.stopping import Stop
from membrane.runs.table import read_rows
from membrane.training.checkpointing import KeepBestAndLast

Run = Callable[..., int]
SCORE = st.sampled_from([0.25, 0.5, 0.75, float("nan")])
EPOCHS = st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=12)


def keeper(monitor: str = "val/acc") -> KeepBestAndLast:
    return KeepBestAndLast(Path(), monitor, {"fingerprint": "0", "pieces": 1}, Stop())


def watch(best: KeepBestAndLast, acc: float, loss: float) -> bool:
    """Let an epoch with these scores end, and return whether it is the best so far."""
    metrics = {"val/acc": torch.tensor(acc), "val/loss": torch.tensor(loss), "train/loss": torch.tensor(0.0)}
    return best.better(SimpleNamespace(callback_metrics=metrics))  # type: ignore[arg-type]


def rank(epoch: int, acc: float, loss: float) -> tuple[float, float, int]:
    """The rule as a tuple that sorts; NaN equals the worst that there can be."""
    return (-1.0 if acc != acc else acc, -9.0 if loss != loss else -loss, epoch)


@given(epochs=EPOCHS, resumed=st.integers(0, 12))
def test_ties_go_to_the_lower_loss_then_to_the_later_epoch(epochs: list[tuple[float, float]], resumed: int) -> None:
    best, kept = keeper(), -1
    for epoch, (acc, loss) in enumerate(epochs):
        if epoch == resumed:  # goes on from a checkpoint, which holds the scores as JSON could
            state = best.state_dict()
            best = keeper()
            best.load_state_dict(state)
        kept = epoch if watch(best, acc, loss) else kept
    assert kept == max(range(len(epochs)), key=lambda epoch: rank(epoch, *epochs[epoch]))


@given(losses=st.lists(SCORE, min_size=1, max_size=8))
def test_a_monitored_loss_is_its_own_tie_break(losses: list[float]) -> None:
    best = keeper("val/loss")
    kept = [epoch for epoch, loss in enumerate(losses) if watch(best, 0.5, loss)][-1]
    assert kept == max(range(len(losses)), key=lambda epoch: rank(epoch, 0.5, losses[epoch]))


def test_a_checkpoint_of_before_still_says_what_is_best() -> None:
    best = keeper()
    best.load_state_dict(
        {"best": 0.5, "best_metrics": {"val/acc": 0.5, "val/loss": 1.25}, "is_best": False, "ended": False}
    )
    assert not watch(best, 0.5, 1.5)
    assert watch(best, 0.5, 1.0)


@pytest.mark.parametrize("samples", [40, 60, 100])
def test_where_a_small_set_plateaus_the_epoch_of_the_lowest_loss_is_kept(
    samples: int, small: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Digits.load

    def few(self: Digits, root: Path, timesteps: int) -> Any:
        train, test = load(self, root, timesteps)
        return train.take(torch.arange(samples)), test

    monkeypatch.setattr(Digits, "load", few)
    assert small("epochs=12", "optimizer.lr=0.003") == 0
    run = only("digits/*/seed0")
    epochs = [row for row in read_rows(run / "metrics.csv") if "val/acc" in row]
    tied = [row for row in epochs if row["val/acc"] == max(each["val/acc"] for each in epochs)]
    lowest = min(tied, key=lambda row: row["val/loss"])
    assert len(tied) > 1
    assert lowest is not tied[0]
    result = json.loads((run / "result.json").read_text())
    assert (result["best"]["epoch"], result["best"]["step"]) == (lowest["epoch"], lowest["step"])
    assert result["best"]["ties"] == "the lower validation loss, then the later epoch"
    assert result["metrics"]["val/loss"] == pytest.approx(lowest["val/loss"], abs=1e-9)


def test_the_figure_marks_the_epoch_that_was_kept(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[Any] = []

    def draw(rows: Any, best: Any) -> Any:
        marked.append(best)
        raise NothingToDraw("it is not looked at")

    monkeypatch.setattr(figures, "learning_curves", draw)
    assert small("epochs=4", "optimizer.lr=0.5", "trainer.monitor=val/loss", "figures=true") == 0
    run = only("digits/*/seed0")
    epochs = [row for row in read_rows(run / "metrics.csv") if "val/acc" in row]
    lowest = min(epochs, key=lambda row: row["val/loss"])
    assert lowest["val/acc"] < max(row["val/acc"] for row in epochs)
    assert marked == [(lowest["epoch"], "loss")]


def test_among_equals_in_both_the_last_epoch_is_the_best_and_early_stopping_goes_by_its_own_rule(small: Run) -> None:
    stop = ("callbacks=early_stop", "callbacks.early_stop.monitor=val/acc", "callbacks.early_stop.mode=max")
    assert small(*stop, "callbacks.early_stop.patience=2", "epochs=9", "optimizer.lr=1e-30") == 0
    run = only("digits/*/seed0")
    assert len({(row["val/acc"], row["val/loss"]) for row in read_rows(run / "metrics.csv") if "val/acc" in row}) == 1
    result = json.loads((run / "result.json").read_text())
    assert result["epochs"] == 3  # the first, and two that were not better
    assert (result["best"]["epoch"], result["best"]["step"]) == (2, 60)
