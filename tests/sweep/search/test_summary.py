"""The command line that a search ends with."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from membrane.sweep.search.plan import Plan
from membrane.sweep.search.summary import best_command

LR = "optimizer.lr=tag(log,interval(1e-4,1.0))"
PlanOf = Callable[..., Plan]


def test_the_command_says_what_is_needed_and_no_secret(plan_of: PlanOf) -> None:
    mine = ("model=smlp", "model._target_=mine.Net", "model.api_key=abc123", "model.note='a b'")
    plan = plan_of(LR, "trust=[mine.Net]", *mine)
    typed = best_command(plan, cast(Any, SimpleNamespace(params={"optimizer.lr": 0.25})))
    assert "abc123" not in typed
    assert "sweep=" not in typed
    words = shlex.split(typed)
    assert words[-4:] == ["model._target_=mine.Net", "model.api_key=***", "model.note='a b'", "optimizer.lr=0.25"]
    assert "trust=[mine.Net]" in words


def test_a_file_of_a_sweep_that_says_more_stays_in_the_command(plan_of: PlanOf) -> None:
    plan = plan_of(LR)
    plan = replace(plan, fixed=[*plan.fixed, "sweep=seeds"])
    trial = cast(Any, SimpleNamespace(params={"optimizer.lr": 0.25}))
    assert "sweep=" not in best_command(plan, trial)
    # what the file says is lost without it: here that is shown by a setting that only the plan has
    assert "sweep=seeds" in best_command(replace(plan, hydra=["epochs=7"]), trial)
    assert best_command(replace(plan, hydra=["epochs=7"]), trial).endswith("optimizer.lr=0.25 hydra.mode=RUN")
