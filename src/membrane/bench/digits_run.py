"""W5: `python train.py` on digits, from the command to its end, in a process of its own."""

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
    """Write to ``path`` when the first optimiser step was done, in seconds since 1970."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Only the first counts."""
        if not self.path.exists():
            self.path.write_text(repr(time.time()))


class RunFailed(RuntimeError):
    """The digits run did not end well: its last words."""


def measure(
    rounds: int, until: float, threads: int, environment: Mapping[str, str], overrides: Sequence[str] = ()
) -> WholeRun:
    """Run it, again while there is time. RunFailed where a run does."""
    found: list[tuple[float, float, float]] = []
    while len(found) < rounds and (not found or time.perf_counter() < until):
        with tempfile.TemporaryDirectory() as folder:
            found.append(once(Path(folder), threads, environment, overrides))
    first, end, fit = (list(column) for column in zip(*found, strict=True))
    return WholeRun(first, end, fit)


def once(
    folder: Path, threads: int, environment: Mapping[str, str], overrides: Sequence[str]
) -> tuple[float, float, float]:
    """Seconds from the command to its first step and to its end, and `fit_seconds`."""
    marker, run = folder / "first_step", folder / "run"
    command = [sys.executable, "-m", "membrane", "train", "logger=csv", f"paths.run={run}", f"threads={threads}"]
    command += [f"trust=[{MARKER}]", f"+callbacks.first_step._target_={MARKER}", f"+callbacks.first_step.path={marker}"]
    start = time.time()
    done = subprocess.run(
        [*command, *overrides], cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    end = time.time()
    if done.returncode:
        raise RunFailed(f"W5, the digits run, ended with {done.returncode}: {last_line(done.stderr)}")
    fit = read_result(run)["fit_seconds"]
    return float(marker.read_text()) - start, end - start, float(fit)


def last_line(text: str) -> str:
    """What a process said last."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def child_environment() -> dict[str, str]:
    """This process's environment, in which children find this membrane."""
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
