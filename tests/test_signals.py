"""A run that is stopped says so in one line and with its exit code, and starts anew."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, str(Path(__file__).parents[1] / "train.py"), "logger=csv", "model=smlp", "timesteps=2"]


def started(folder: Path) -> subprocess.Popen[str]:
    """A long run in a process of its own, some epochs in."""
    command = [*COMMAND, "epochs=100000", "model.units=[8]"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        tables = list(folder.glob("runs/digits/*/seed0/metrics.csv"))
        if tables and len(tables[0].read_text().splitlines()) > 5:
            return process
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"no row of metrics.csv: {process.communicate()}")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_its_code_and_one_line(tmp_path: Path, signum: int, code: int) -> None:
    process = started(tmp_path)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.splitlines() == [
        f"membrane: stopped by {signal.Signals(signum).name}; start it again to run it anew",
    ]
    run = next(tmp_path.glob("runs/digits/*/seed0"))
    assert not (run / "result.json").exists()


def test_a_second_process_on_the_same_run_says_who_does_it(tmp_path: Path) -> None:
    process = started(tmp_path)
    second = subprocess.run(
        [*COMMAND, "epochs=100000", "model.units=[8]"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    process.kill()
    process.communicate()
    assert second.returncode == 1
    assert f"is being run by process {process.pid} on " in second.stdout + second.stderr
