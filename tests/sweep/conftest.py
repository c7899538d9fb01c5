"""Runs without training, for tests of what sweeps do with runs; what they leave; whether a process ends."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.runs.folder import RunFolder
from membrane.runs.stopping import Stop
from membrane.schema import Config
from membrane.training import run as run_module


@pytest.fixture
def without_training(monkeypatch: pytest.MonkeyPatch) -> dict[int, BaseException]:
    """Make runs write a result at once; return a dict to fill with seed → exception to raise instead."""
    exceptions: dict[int, BaseException] = {}

    def train(config: Config, composed: Any, folder: RunFolder, stop: Stop) -> None:
        if config.seed in exceptions:
            raise exceptions[config.seed]
        folder.write("result.json", {"seed": config.seed, "metrics": {"test/acc": 0.5}})

    monkeypatch.setattr(run_module, "train", train)
    return exceptions


@pytest.fixture
def result_files() -> Callable[[], dict[str, str]]:
    """Return a function that gives, for each seed of digits, which of result.json and FAILED.json its run left."""

    def by_seed() -> dict[str, str]:
        files = [path for path in Path("runs").glob("digits/*/*/*.json") if path.stem in ("result", "FAILED")]
        return {path.parent.name.removeprefix("seed"): path.stem for path in files}

    return by_seed


@pytest.fixture
def ends_soon() -> Callable[[int], bool]:
    """Return a function that waits for a process to end, and returns whether it did."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    def wait(pid: int) -> bool:
        deadline = time.monotonic() + 120
        while runs(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not runs(pid)

    return wait
