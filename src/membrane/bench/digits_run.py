"""Workload W5: a whole run on digits, from the command to its end, in a process of its own."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from membrane.bench.record import WholeRun
from membrane.runs.saved import read_result

MARKER = f"{__name__}.FirstStep"


class FirstStep(Callback):
    """Writes the time of the end of the first training step to the file ``path``, in seconds since 1970."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the time, if no earlier step has."""
        if not self.path.exists():
            self.path.write_text(repr(time.time()), encoding="utf-8")


class DigitsRunFailed(RuntimeError):
    """The digits run failed; the message has the last line that it printed."""


def time_digits_runs(
    rounds: int, until: float, threads: int, environment: Mapping[str, str], overrides: Sequence[str] = ()
) -> WholeRun:
    """Time at most so many runs, at least one, none begun after ``until`` of perf_counter.

    Raises DigitsRunFailed if one fails.
    """
    runs: list[tuple[float, float, float]] = []
    while len(runs) < rounds and (not runs or time.perf_counter() < until):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(time_digits_run(Path(folder), threads, environment, overrides))
    first, end, fit = (list(column) for column in zip(*runs, strict=True))
    return WholeRun(first, end, fit)


def time_digits_run(
    folder: Path, threads: int, environment: Mapping[str, str], overrides: Sequence[str]
) -> tuple[float, float, float]:
    """Return the seconds from the command to its first step and to its end, and `fit_seconds`."""
    marker, run = folder / "first_step", folder / "run"
    command = [sys.executable, "-m", "membrane", "train", "logger=csv", f"paths.run={run}", f"threads={threads}"]
    command += [f"trust=[{MARKER}]", f"+callbacks.first_step._target_={MARKER}", f"+callbacks.first_step.path={marker}"]
    start = time.time()
    process = subprocess.run(
        [*command, *overrides],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    end = time.time()
    if process.returncode:
        raise DigitsRunFailed(f"W5, the digits run, ended with {process.returncode}: {last_line(process.stderr)}")
    fit = read_result(run)["fit_seconds"]
    return float(marker.read_text(encoding="utf-8")) - start, end - start, float(fit)


def last_line(text: str) -> str:
    """Return the last line that is not blank."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def child_environment() -> dict[str, str]:
    """Return this process's environment with this membrane first on PYTHONPATH."""
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
