"""A run that is stopped says so in one line and with its exit code, and can go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.learner import Learner
from membrane.runs.table import read_rows
from membrane.training import checkpoints

TRAIN = str(Path(__file__).parents[2] / "train.py")
LONG = ["logger=csv", "model=smlp", "model.units=[8]", "timesteps=2", "threads=1", "figures=false", "epochs=100000"]
Run = Callable[..., int]


def started(folder: Path) -> subprocess.Popen[str]:
    """Start a long run in a process of its own, and return it some epochs later."""
    command = [sys.executable, TRAIN, *LONG]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        tables = list(folder.glob("runs/digits/*/seed0/metrics.csv"))
        if tables and len(tables[0].read_text().splitlines()) > 5:
            return process
        time.sleep(0.02)
    process.kill()
    pytest.fail(f"no row of metrics.csv: {process.communicate()}")


def stopped_well(signum: int, errors: str) -> None:
    """Check what a stopped run said, and that the last checkpoint holds all that metrics.csv tells of."""
    assert errors.splitlines() == [
        f"membrane: stopped by {signal.Signals(signum).name} with a checkpoint; start it again to go on",
    ]
    [run] = Path("runs").glob("digits/*/seed0")
    assert not (run / "result.json").exists()
    assert not (run / "FAILED.json").exists()
    step = checkpoints.read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    assert step >= read_rows(run / "metrics.csv")[-1]["step"]


def test_ctrl_c_ends_a_run_with_a_checkpoint_and_a_second_process_says_who_runs_it(
    membrane: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = started(tmp_path)
    assert membrane(*LONG) == 1
    printed = capsys.readouterr()
    assert f"is being run by process {process.pid} on " in printed.out + printed.err
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 75
    stopped_well(signal.SIGINT, errors)


def test_a_signal_of_the_cluster_ends_a_run_with_a_checkpoint(
    membrane: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Learner.training_step

    def signalled(self: Learner, *arguments: Any) -> Any:
        if self.global_step == 25:  # epochs have 20
            os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, *arguments)

    monkeypatch.setattr(Learner, "training_step", signalled)
    assert membrane(*LONG) == 75
    stopped_well(signal.SIGUSR1, capsys.readouterr().err)
    [last] = Path("runs").glob("digits/*/seed0/checkpoints/last.ckpt")
    assert checkpoints.read_checkpoint(last)["global_step"] == 26


def test_a_second_ctrl_c_says_that_an_earlier_checkpoint_is_there(
    membrane: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Learner.training_step

    def interrupted_twice(self: Learner, *arguments: Any) -> Any:
        if self.global_step == 25:  # epochs have 20
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(Learner, "training_step", interrupted_twice)
    assert membrane(*LONG) == 130
    line = "membrane: stopped by SIGINT at once; start it again to go on from its last checkpoint"
    assert line in capsys.readouterr().err
    [last] = Path("runs").glob("digits/*/seed0/checkpoints/last.ckpt")
    assert checkpoints.read_checkpoint(last)["global_step"] == 20
