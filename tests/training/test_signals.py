"""A run that is stopped says so in one line and with its exit code, and can go on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from membrane.runs.table import read_rows
from membrane.training import checkpoints

COMMAND = [
    sys.executable,
    str(Path(__file__).parents[2] / "train.py"),
    "logger=csv",
    "model=smlp",
    "timesteps=2",
    "threads=1",
    "figures=false",
]
LONG = ["epochs=100000", "model.units=[8]"]


def started(folder: Path) -> subprocess.Popen[str]:
    """A long run in a process of its own, some epochs in."""
    process = subprocess.Popen([*COMMAND, *LONG], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        tables = list(folder.glob("runs/digits/*/seed0/metrics.csv"))
        if tables and len(tables[0].read_text().splitlines()) > 5:
            return process
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"no row of metrics.csv: {process.communicate()}")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_run_with_a_checkpoint_and_one_line(tmp_path: Path, signum: int) -> None:
    process = started(tmp_path)
    if signum == signal.SIGINT:
        a_second_process_says_who_does_it(tmp_path, process.pid)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert errors.splitlines() == [
        f"membrane: stopped by {signal.Signals(signum).name} with a checkpoint; start it again to go on",
    ]
    run = next(tmp_path.glob("runs/digits/*/seed0"))
    assert not (run / "result.json").exists()
    assert not (run / "FAILED.json").exists()
    step = checkpoints.load(run / "checkpoints" / "last.ckpt")["global_step"]
    assert step >= read_rows(run / "metrics.csv")[-1]["step"]


def a_second_process_says_who_does_it(folder: Path, first: int) -> None:
    """The same command beside a process that runs it."""
    second = subprocess.run([*COMMAND, *LONG], cwd=folder, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"is being run by process {first} on " in second.stdout + second.stderr
