"""What all tests share: a place for runs, and nothing of the person's own settings."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracker account, no colours, the threads that runs have by default."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    torch.set_num_threads(2)


@pytest.fixture
def membrane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command line in this process, in a folder of its own; returns the exit code."""
    from membrane.command import main

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main([*arguments])


@pytest.fixture
def small(membrane: Callable[..., int]) -> Callable[..., int]:
    """Run the smallest whole run, about a second, with what is said."""
    least = ("logger=csv", "epochs=1", "model=smlp", "model.units=[16]", "timesteps=2")
    return lambda *arguments: membrane(*least, *arguments)
