"""Runs without training, for tests of what sweeps do with runs."""

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
