"""Optimisers and schedules: each setting is torch's own, and what torch would refuse late is refused early."""

import inspect
from typing import Any

import pytest
import torch
from cases import check_each
from pydantic import ValidationError
from torch.optim import lr_scheduler

from membrane.schema.node import Node
from membrane.schema.optimizer import OPTIMIZERS, SCHEDULERS, Cosine

BY_NAME = {each.choice: each for each in (*OPTIMIZERS, *SCHEDULERS)}
LEAST: dict[str, dict[str, Any]] = {
    "step": {"step_size": 2},
    "multistep": {"milestones": [2, 4]},
    "exponential": {"gamma": 0.9},
    "one_cycle": {"max_lr": 0.1},
}
"""What a schedule cannot do without."""


def configured(name: str, **settings: Any) -> Node:
    return BY_NAME[name].model_validate({"_target_": BY_NAME[name].public, **LEAST.get(name, {}), **settings})


def test_an_optimiser_is_built_as_torch_builds_it_by_default() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    for each in OPTIMIZERS:
        torchs = getattr(torch.optim, each.public.rpartition(".")[2])
        parameters = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in configured(each.choice).parameters().items()
        }
        assert torchs([weight], **parameters).defaults == torchs([weight]).defaults, each.choice
        assert f"{torchs.__module__}.{torchs.__qualname__}" == each.defined


def test_a_schedule_is_given_its_own_settings_alone() -> None:
    for each in SCHEDULERS:
        torchs = getattr(lr_scheduler, each.public.rpartition(".")[2])
        parameters = configured(each.choice).parameters()
        assert set(parameters) <= set(inspect.signature(torchs).parameters), each.choice
        assert "interval" not in parameters
        assert f"{torchs.__module__}.{torchs.__qualname__}" == each.public
    assert configured("constant").parameters() == {"factor": 1.0}
    momenta = {"cycle_momentum": True, "base_momentum": 0.85, "max_momentum": 0.95}
    assert configured("one_cycle").parameters() == {"max_lr": 0.1, "pct_start": 0.3, **momenta}


def test_a_schedule_steps_by_epochs_without_a_rise_but_one_cycle_by_steps() -> None:
    for each in SCHEDULERS:
        schedule = configured(each.choice)
        expected = "step" if each.choice == "one_cycle" else "epoch"
        assert (schedule.interval, schedule.warmup) == (expected, 0)  # type: ignore[attr-defined]
    assert Cosine.model_validate({"_target_": Cosine.public, "warmup": 2, "interval": "step"}).parameters() == {
        "T_max": None,
        "eta_min": 0.0,
    }


def test_numbers_at_the_edge_are_taken_and_those_beyond_are_not() -> None:
    def check_edge(case: tuple[str, str, Any, Any]) -> None:
        name, setting, edge, beyond = case
        assert getattr(configured(name, **{setting: edge}), setting) == edge
        with pytest.raises(ValidationError, match=setting):
            configured(name, **{setting: beyond})

    tiny = 1e-9
    every = [each.choice for each in OPTIMIZERS]
    check_each(
        [
            *((name, "lr", tiny, 0.0) for name in every),
            *((name, "weight_decay", 0.0, -tiny) for name in every),
            *((name, setting, 0.0, -tiny) for name in ("sgd", "rmsprop") for setting in ("momentum",)),
            ("sgd", "dampening", 0.0, -tiny),
            *((name, "eps", tiny, 0.0) for name in ("adam", "adamw", "rmsprop")),
            *((name, "betas", [0.0, 1.0], beyond) for name in ("adam", "adamw") for beyond in ([-tiny, 0.5], [0.5])),
            *((name, "betas", [0.5, 0.5], [0.5, 0.5, 0.5]) for name in ("adam", "adamw")),
            ("rmsprop", "alpha", 1.0, 1 + tiny),
            ("constant", "factor", tiny, 0.0),
            ("cosine", "T_max", 1, 0),
            ("cosine", "eta_min", 0.0, -tiny),
            ("step", "step_size", 1, 0),
            ("step", "gamma", tiny, 0.0),
            ("multistep", "gamma", tiny, 0.0),
            ("exponential", "gamma", tiny, 0.0),
            ("plateau", "factor", 1 - tiny, 1.0),
            ("plateau", "factor", tiny, 0.0),
            ("plateau", "patience", 0, -1),
            ("plateau", "cooldown", 0, -1),
            *(("plateau", setting, 0.0, -tiny) for setting in ("threshold", "min_lr", "eps")),
            ("one_cycle", "max_lr", tiny, 0.0),
            ("one_cycle", "pct_start", 0.0, 1.0),
            ("one_cycle", "pct_start", 1 - tiny, -tiny),
            ("one_cycle", "base_momentum", 0.95, 0.95 + tiny),
            ("one_cycle", "max_momentum", 0.85, 1.0),
            ("one_cycle", "warmup", 0, 1),
            ("one_cycle", "interval", "step", "epoch"),
            ("cosine", "warmup", 0.0, -tiny),
        ],
        check_edge,
    )
