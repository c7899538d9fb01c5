"""A pytest plugin that writes run folders as they are after every ending, and the records of sweeps."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from membrane.runs.survey import survey

NOW = 1_800_000_000.0
HEADER = "epoch,step,seconds,lr,train/loss,train/acc,val/loss,val/acc"
HOLDER = """
import sys
from pathlib import Path
from membrane.runs.folder import RunFolder
run_folder = RunFolder.__new__(RunFolder)
run_folder.path = Path(sys.argv[1])
with run_folder.locked():
    print("held", flush=True)
    sys.stdin.readline()
"""
TRACEBACK = """Traceback (most recent call last):
  File "/somewhere/job.py", line 75, in guarded
    run(config)
  File "/somewhere/learner.py", line 12, in step
    raise RuntimeError("it broke\\nbadly")
RuntimeError: it broke
badly
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return an empty folder of runs."""
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def hold() -> Iterator[Callable[[Path], int]]:
    """Return a function by which another process holds a run's folder, since long before `NOW` → its number."""
    processes = []

    def hold_folder(folder: Path) -> int:
        command = [sys.executable, "-c", HOLDER, str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        os.utime(lock_of(folder), (NOW - 10_000, NOW - 10_000))
        return process.pid

    yield hold_folder
    for process in processes:
        process.kill()
        process.communicate()


def unfinished_run(folder: Path, epochs: int = 20, seed: int = 0, checkpoint: bool = False) -> Path:
    """Write what a run writes first, and its checkpoint if it has one. Return the folder."""
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"fingerprint": folder.parent.name, "seed": seed}))
    (folder / "config.yaml").write_text(f"name: x\nmodel:\n  epochs: 7\nepochs: {epochs}\nbatch_size: 64\n")
    if checkpoint:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()
    return folder


def finished_run(folder: Path, seconds: float = 10.0, changed: float = NOW, **metrics: float) -> Path:
    """Write a finished run that was last changed at a time. Return the folder."""
    unfinished_run(folder)
    result = {"metrics": {"val/acc": 0.5, **metrics}, "fit_seconds": seconds, "epochs": 20, "unheard": "of"}
    (folder / "result.json").write_text(json.dumps(result))
    os.utime(folder / "result.json", (changed, changed))
    os.utime(folder, (changed, changed))
    return folder


def failed_run(folder: Path, error: str = "it broke", traceback: str = TRACEBACK) -> Path:
    """Write a run that failed. Return the folder."""
    unfinished_run(folder)
    (folder / "FAILED.json").write_text(json.dumps({"error": error, "traceback": traceback}))
    return folder


def write_metrics(folder: Path, epochs: int, seconds: float = 10.0, age: float = 0.0) -> None:
    """Write rows of so many epochs, each of 20 steps and so long, the last of them ``age`` seconds old at `NOW`."""
    lines = [HEADER]
    for epoch in range(epochs):
        end = (epoch + 1) * seconds
        lines += [
            f"{epoch},{epoch * 20 + 20},{end - 1},0.1,0.5,0.9,,",
            f"{epoch},{epoch * 20 + 20},{end},0.1,,,0.6,0.8",
        ]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    os.utime(folder / "metrics.csv", (NOW - age, NOW - age))


def lock_of(folder: Path) -> Path:
    """Return the path of a run folder's lock."""
    return folder.with_name(f".{folder.name}.lock")


def record_sweep(runs: Path, *jobs: tuple[str, list[str]], at: str = "2030-01-01T00-00-00") -> None:
    """Write the record of a sweep: (folder, overrides) of its jobs."""
    file = runs / ".sweeps" / at / "jobs.json"
    file.parent.mkdir(parents=True)
    entries = [{"folder": folder, "overrides": overrides} for folder, overrides in jobs]
    file.write_text(json.dumps({"schema": 1, "command": [], "jobs": entries}))


def statuses(runs: Path) -> dict[str, str]:
    """Return folder → status of every run below a folder."""
    return {run.folder: run.status for run in survey(runs, NOW).runs}
