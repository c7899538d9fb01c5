"""Schedules against their formulas."""

import copy
import math
import sys
from pathlib import Path

import pytest
import torch
from configurations import configured
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from membrane.errors import ConfigError
from membrane.training.schedules import RiseThenPlateau, build_schedule, schedule

OWN = """
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

class Patient(ReduceLROnPlateau):
    def __init__(self, optimizer, mode="min", share=0.5):
        super().__init__(optimizer, mode=mode, factor=share, patience=1)

class Blind(LRScheduler):
    def get_lr(self):
        return self.base_lrs
"""


def rates(
    scheduler_class: type, settings: dict, length: int, warmup: int = 0, lr: float = 0.1, steps: int | None = None
) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = schedule(optimizer, scheduler_class, settings, length=length, warmup=warmup)
    rates_by_step = []
    for _ in range(length if steps is None else steps):
        rates_by_step.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*rates_by_step, optimizer.param_groups[0]["lr"]]


def test_a_cosine_ends_with_the_training() -> None:
    expected = [0.1 * (1 + math.cos(math.pi * t / 8)) / 2 for t in range(9)]
    assert rates(CosineAnnealingLR, {"T_max": None, "eta_min": 0.0}, 8) == pytest.approx(expected, abs=1e-9)


def test_a_cosine_with_a_period_of_its_own_comes_back() -> None:
    expected = [0.1 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(9)]
    assert rates(CosineAnnealingLR, {"T_max": 4, "eta_min": 0.0}, 8) == pytest.approx(expected, abs=1e-9)


def test_a_rise_comes_before_the_schedule_and_shortens_it() -> None:
    rates_by_step = rates(CosineAnnealingLR, {"T_max": None, "eta_min": 0.0}, 10, warmup=4)
    assert rates_by_step[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates_by_step[4:] == pytest.approx([0.1 * (1 + math.cos(math.pi * t / 6)) / 2 for t in range(7)], abs=1e-9)


def test_steps_and_powers() -> None:
    assert rates(StepLR, {"step_size": 3, "gamma": 0.5}, 6) == pytest.approx([0.1] * 3 + [0.05] * 3 + [0.025])
    assert rates(ExponentialLR, {"gamma": 0.9}, 3) == pytest.approx([0.1, 0.09, 0.081, 0.0729])
    assert rates(ConstantLR, {"factor": 1.0}, 7) == pytest.approx([0.1] * 8)


@pytest.mark.parametrize("warmup", [0, 2, 3, 5])
def test_milestones_count_from_the_beginning(warmup: int) -> None:
    """Those within the rise, which leads to lr, take effect behind it."""
    milestones = [3, 4, 7]
    expected = [
        0.1 * (t + 1) / (warmup + 1) if t < warmup else 0.1 * 0.5 ** sum(each <= t for each in milestones)
        for t in range(10)
    ]
    assert rates(MultiStepLR, {"milestones": milestones, "gamma": 0.5}, 9, warmup) == pytest.approx(expected)


def test_a_plateau_is_seen_behind_the_rise_alone_and_goes_on_from_a_state() -> None:
    """lr/3, 2·lr/3, lr; 5 is the best from then on, 4.9 no better, and twice in a row more than the patience of 1."""

    def built() -> tuple[torch.optim.Optimizer, RiseThenPlateau]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
        settings = {"factor": 0.5, "patience": 1, "threshold": 0.5, "threshold_mode": "abs"}
        scheduler = schedule(optimizer, ReduceLROnPlateau, settings, length=10, warmup=2)
        assert isinstance(scheduler, RiseThenPlateau)
        return optimizer, scheduler

    (optimizer, scheduler), seen = built(), []
    for loss in (1.0, 1.0, 5.0, 4.9, 4.9, 4.4, 4.4, 4.4, 4.4):
        seen.append(optimizer.param_groups[0]["lr"])
        states = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
        optimizer, scheduler = built()
        optimizer.load_state_dict(states[0])
        scheduler.load_state_dict(states[1])
        optimizer.step()
        scheduler.step(loss)
    seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3, 0.15, 0.15, 0.15, 0.075, 0.075])


def test_a_plateau_of_ones_own_names_what_it_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_plateau.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)

    def built(name: str, *typed: str) -> dict:
        trust = (f"trust=[own_plateau.{name}]", "~scheduler", f"+scheduler._target_=own_plateau.{name}")
        return build_schedule(configured(*trust, *typed), optimizer, 100, 10)

    described = built("Patient", "+scheduler.monitor=val/acc", "+scheduler.share=0.25")
    assert (described["monitor"], described["reduce_on_plateau"], described["interval"]) == ("val/acc", True, "epoch")
    assert (described["scheduler"].mode, described["scheduler"].factor) == ("max", 0.25)
    assert built("Patient", "+scheduler.monitor=val/loss")["scheduler"].mode == "min"
    assert built("Blind").keys() == {"scheduler", "interval"}
    refused = {
        ("Patient",): "own_plateau.Patient follows a metric: say which, as scheduler.monitor=val/loss",
        ("Blind", "+scheduler.monitor=val/loss"): "own_plateau.Blind follows no metric: leave scheduler.monitor out",
        ("Patient", "+scheduler.monitor=val/loss", "+scheduler.interval=step"): "use scheduler.interval=epoch",
        ("Patient", "+scheduler.monitor=val/best"): "scheduler.monitor=val/best: not measured in classification",
    }
    for (name, *typed), line in refused.items():
        with pytest.raises(ConfigError, match=line):
            built(name, *typed)
    del sys.modules["own_plateau"]


def test_a_cycle_lasts_as_long_as_the_training() -> None:
    rates_by_step = rates(OneCycleLR, {"max_lr": 0.5, "pct_start": 0.3}, 20, steps=19)
    assert max(rates_by_step) == pytest.approx(0.5)
    assert rates_by_step.index(max(rates_by_step)) == 5  # 0.3 of 20 steps, less the first
    assert rates_by_step[-1] < rates_by_step[0]
