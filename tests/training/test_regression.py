"""Regression from end to end: whole small runs on the bundled set, what they leave, and that something is learned."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import evaluate
from run_paths import only

from membrane.data.diabetes import Diabetes
from membrane.data.samples import Samples
from membrane.runs.table import read_rows

Run = Callable[..., int]
SHORT = ("dataset=diabetes", "epochs=2")
LEARNS = ("dataset=diabetes", "augmentation=[normalise]", "model.units=[64]", "epochs=10", "optimizer.lr=0.01")


def metrics_of(run: Path) -> dict[str, float]:
    metrics: dict[str, float] = json.loads((run / "result.json").read_text())["metrics"]
    return metrics


def judged(run: Path) -> dict[str, float]:
    """The test metrics by their formulas, from what the run saved."""
    with np.load(run / "outputs" / "test.npz") as saved:
        y, output = saved["label"], saved["output"]
    error = output - y
    corr = np.corrcoef(y[:, 0], output[:, 0])[0, 1]
    means = {"test/mse": (error**2).mean(), "test/mae": abs(error).mean(), "test/mape": (abs(error) / y).mean()}
    return {**means, "test/corr": corr}


def explained(run: Path) -> float:
    """R² on the test set: 0 for who always says its mean."""
    with np.load(run / "outputs" / "test.npz") as saved:
        return 1 - float(((saved["output"] - saved["label"]) ** 2).mean() / saved["label"].var())


def test_a_run_learns_what_is_there_and_reports_what_it_saved(small: Run) -> None:
    assert small(*LEARNS) == 0
    run = only("diabetes/*/seed0")
    metrics = metrics_of(run)
    for name, value in judged(run).items():
        assert metrics[name] == pytest.approx(value, abs=1e-5)
    assert metrics["test/loss"] == pytest.approx(metrics["test/mse"], abs=1e-6)
    # least squares explains 0.45 of this test set's variance, with a correlation of 0.68
    assert metrics["test/corr"] > 0.55
    assert explained(run) > 0.25


def test_shuffled_targets_explain_nothing(monkeypatch: pytest.MonkeyPatch, small: Run) -> None:
    original = Diabetes.load

    def shuffled(self: Diabetes, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        train, test = original(self, root, timesteps)
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(5))
        return Samples(train.x, train.y[order], train.recording, train.scale), test

    monkeypatch.setattr(Diabetes, "load", shuffled)
    assert small(*LEARNS) == 0
    run = only("diabetes/*/seed0")
    assert explained(run) < 0.1
    assert abs(metrics_of(run)["test/corr"]) < 0.4


def test_columns_files_and_the_best_epoch(small: Run) -> None:
    assert small(*SHORT, "epochs=3", "log_every=2", "figures=true") == 0
    run = only("diabetes/*/seed0")
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    measured = [f"val/{name}" for name in ("loss", "mse", "mae", "mape", "corr")]
    assert header[:11] == ["epoch", "step", "seconds", "lr", "train/loss", "train/mae", *measured]
    after = [row for row in read_rows(run / "metrics.csv") if "val/loss" in row]
    best = min(after, key=lambda row: row["val/loss"])
    metrics = metrics_of(run)
    assert {name: metrics[name] for name in measured} == pytest.approx({name: best[name] for name in measured})
    assert {path.stem for path in (run / "figures").iterdir()} == {
        "learning_curves",
        "predicted_against_true",
        "firing_rates",
        "raster",
    }
    assert json.loads((run / "result.json").read_text())["task"] == "regression"


def test_a_finished_run_is_skipped_with_its_error_and_evaluates_to_the_same(
    small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small(*SHORT) == 0
    run = only("diabetes/*/seed0")
    capsys.readouterr()
    assert small(*SHORT) == 0
    assert f"(test/mae {metrics_of(run)['test/mae']:.4f})" in capsys.readouterr().out
    assert evaluate([str(run)]) == 0


def test_the_papers_protocol_reports_last_mean_and_best(small: Run) -> None:
    assert small(*SHORT, "protocol=paper_best_on_test", "epochs=12") == 0
    run = only("diabetes/*/seed0")
    table = read_rows(run / "metrics.csv")
    mae, corr = ([row[f"oracle/{name}"] for row in table if "oracle/loss" in row] for name in ("mae", "corr"))
    metrics = metrics_of(run)
    assert len(mae) == 12
    assert metrics["test/mae"] == pytest.approx(mae[-1], abs=1e-6)
    assert metrics["test/mae_mean_last10"] == pytest.approx(sum(mae[2:]) / 10, abs=1e-6)
    assert metrics["test/mae_best_oracle"] == pytest.approx(min(mae), abs=1e-6)
    assert metrics["test/corr_mean_last10"] == pytest.approx(sum(corr[2:]) / 10, abs=1e-6)
    assert metrics["test/corr_best_oracle"] == pytest.approx(max(corr), abs=1e-6)


def test_the_last_protocol_trains_on_all_and_selects_nothing(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert small(*SHORT, "protocol=last", "augmentation=[normalise,mixup]", "callbacks=[ema]") == 0
    assert "(353 train, 89 test)" in capsys.readouterr().out
    metrics = metrics_of(only("diabetes/*/seed0"))
    assert not any(name.startswith(("val/", "oracle/")) for name in metrics)
    assert metrics["test/mae"] == metrics["test_last/mae"]


def test_the_highest_correlation_can_select(small: Run) -> None:
    assert small(*LEARNS, "epochs=6", "trainer.monitor=val/corr", "callbacks=[early_stop]") == 0
    run = only("diabetes/*/seed0")
    correlations = [row["val/corr"] for row in read_rows(run / "metrics.csv") if "val/corr" in row]
    assert metrics_of(run)["val/corr"] == pytest.approx(max(correlations), abs=1e-6)
    assert min(correlations) < max(correlations)


def test_overfitting_one_batch_reaches_almost_no_loss(small: Run) -> None:
    learns = ("model.units=[128]", "optimizer.lr=0.02", "epochs=60", "batch_size=16", "augmentation=[normalise]")
    assert small("dataset=diabetes", "debug=overfit", "timesteps=4", *learns) == 0
    losses = [
        row["train/loss"] for row in read_rows(only(".debug/diabetes/*/seed0") / "metrics.csv") if "train/loss" in row
    ]
    assert losses[0] > 1
    assert losses[-1] < 0.05
