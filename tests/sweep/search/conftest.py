"""Plans of searches, and the lines that are logged."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from configurations import shared_composer
from hydra.types import RunMode

from membrane.schema import Config
from membrane.sweep.search.plan import Plan


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that gives the lines membrane has logged since its last call."""
    caplog.set_level(logging.INFO, "membrane")

    def new_lines() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("membrane")]
        caplog.clear()
        return lines

    return new_lines


@pytest.fixture
def plan_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """Return a function that gives the plan of a command line with `sweep=optuna`.

    The configuration of a trial is composed once, for the search and for the launcher that runs it.
    """
    compose, configs = Plan.trial_config, dict[tuple[str, ...], Config]()

    def trial_config(plan: Plan, parameters: Sequence[str]) -> Config:
        key = (*plan.hydra, *dict.fromkeys(plan.job_overrides(parameters)))  # a launcher's have the fixed ones already
        if key not in configs:
            configs[key] = compose(plan, parameters)
        return configs[key]

    monkeypatch.setattr(Plan, "trial_config", trial_config)

    def plan(*typed: str) -> Plan:
        composer = shared_composer()
        overrides = composer.add_or_override(["sweep=optuna", "logger=csv", f"paths.runs={tmp_path}", *typed])
        master = composer.load(overrides, RunMode.MULTIRUN)
        return Plan.of(composer, master, list(master.hydra.overrides.task))

    return plan
