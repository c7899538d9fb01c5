"""Schedules against their formulas."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, ExponentialLR, OneCycleLR, StepLR

from membrane.training.schedules import schedule


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


def test_a_cycle_lasts_as_long_as_the_training() -> None:
    rates_by_step = rates(OneCycleLR, {"max_lr": 0.5, "pct_start": 0.3}, 20, steps=19)
    assert max(rates_by_step) == pytest.approx(0.5)
    assert rates_by_step.index(max(rates_by_step)) == 5  # 0.3 of 20 steps, less the first
    assert rates_by_step[-1] < rates_by_step[0]
