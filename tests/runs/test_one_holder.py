"""Processes that train in one folder under several names at once. To start one takes seconds, so all is slow."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SMALL

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LONG = (*SMALL, "trainer.progress=false", "epochs=100000", "log_every=1")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a training in a folder; those that still run in the end are killed."""
    started = []

    def train(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "membrane", "train", *LONG, *arguments]
        pipe: Any = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield train
    for process in started:
        process.kill()
        process.communicate()


def wait_for_rows(table: Path, process: subprocess.Popen[str]) -> None:
    while not (table.exists() and len(table.read_text().splitlines()) > 2):
        assert process.poll() is None
        time.sleep(0.05)


def test_one_of_several_processes_trains_in_a_folder_of_several_names(start: Start, tmp_path: Path) -> None:
    real = tmp_path / "real"
    for folder in (real, tmp_path / "x"):
        folder.mkdir()
    (tmp_path / "link").symlink_to("real")
    first = start(tmp_path, f"paths.run={real}")
    wait_for_rows(real / "metrics.csv", first)
    others = [start(tmp_path, f"paths.run={name}") for name in ("link", "x/../real", "./link/", f"{tmp_path}/link")]
    others.append(start(real, "paths.run=."))
    for process in others:
        printed, errors = process.communicate()
        assert process.returncode == 1, (process.args, printed, errors)
        assert f"is being run by process {first.pid} on " in printed + errors, process.args
    first.send_signal(signal.SIGKILL)
    first.wait()
    with (real / "metrics.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"] and row["step"]]
    assert steps[:-1] == list(range(1, len(steps))), "rows of two runs"
    assert not list((tmp_path / "x").iterdir())


def test_a_rerun_through_a_link_waits_for_the_real_folder_and_moves_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real").mkdir()
    first = start(tmp_path, "paths.run=real")
    wait_for_rows(tmp_path / "real" / "metrics.csv", first)
    printed = "".join(start(tmp_path, "paths.run=link", "rerun=true").communicate())
    assert f"is being run by process {first.pid} on " in printed
    first.send_signal(signal.SIGTERM)
    assert first.wait() == 75
    second = start(tmp_path, "paths.run=link", "rerun=true")
    while not (tmp_path / "real.1").exists():
        assert second.poll() is None
        time.sleep(0.05)
    wait_for_rows(tmp_path / "real" / "metrics.csv", second)
    assert (tmp_path / "real.1" / "checkpoints" / "last.ckpt").exists()
    assert (tmp_path / "link").resolve() == tmp_path / "real"
    second.kill()
    second.wait()
