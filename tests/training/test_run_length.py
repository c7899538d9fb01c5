"""A run that is too short for its moving average or its warm-up says so in a line at its start."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from membrane.config.check import check
from membrane.schema.training import EMA, ConstantEMA
from membrane.training.run_length import average_is_young, initial_share, length_warnings

CONSTANT = "lightning.pytorch.callbacks.EMAWeightAveraging"
WARMED = "membrane.training.averaging.ExponentialMovingAverage"


def warnings(raw: dict[str, Any], samples: int = 1000, **changes: Any) -> list[str]:
    return list(length_warnings(check({**copy.deepcopy(raw), **changes}), samples))


@pytest.mark.parametrize(
    ("every", "start", "steps"), [(1, None, 30), (1, 7, 30), (3, None, 30), (4, 5, 30), (1, 40, 30), (5, 28, 30)]
)
def test_the_share_is_what_lightning_leaves_of_the_first_weights(every: int, start: int | None, steps: int) -> None:
    from lightning.pytorch.callbacks import EMAWeightAveraging
    from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

    settings = {"decay": 0.9, "update_every_n_steps": every, "update_starting_at_step": start}
    callback = EMAWeightAveraging(**settings)
    weight = torch.nn.Linear(1, 1, bias=False)
    average = AveragedModel(weight, avg_fn=get_ema_avg_fn(0.9))
    with torch.no_grad():
        weight.weight.fill_(1.0)
        average.module.weight.fill_(1.0)
        for step in range(steps):
            if callback.should_update(step_idx=step):
                average.update_parameters(weight)
                weight.weight.fill_(0.0)  # all weights after the first averaged ones are zero
    assert initial_share(ConstantEMA(**{"_target_": CONSTANT, **settings}), steps) == pytest.approx(
        average.module.weight.item()
    )


def test_only_a_run_that_is_too_short_for_its_average_is_warned(raw: dict[str, Any]) -> None:
    ema = {"ema": {"_target_": CONSTANT}}
    # 1000 samples in batches of 100: 10 steps an epoch; 0.999 ** 2302 = 0.1
    [line] = warnings(raw, batch_size=100, epochs=200, callbacks=ema)
    assert line.startswith("callbacks.ema: 14 % of the average after 2000 steps is still the weights of its beginning")
    assert not warnings(raw, batch_size=100, epochs=240, callbacks=ema)
    assert warnings(raw, batch_size=100, epochs=240, callbacks=ema, trainer={**raw["trainer"], "accumulate": 2})
    assert not warnings(raw, epochs=1)


@pytest.mark.parametrize(
    ("decay", "every", "start", "steps"), [(0.999, 1, None, 3), (0.2, 1, None, 5), (0.9, 3, 7, 400), (0.999, 1, 9, 5)]
)
def test_the_share_of_the_first_weights_where_the_decay_warms_up(
    decay: float, every: int, start: int | None, steps: int
) -> None:
    share, updates = 1.0, 0
    for step in range(steps):
        if step >= (start or 0) and step % every == 0:
            share *= min(decay, (1 + updates) / (10 + updates)) if updates else 1.0
            updates += 1
    settings = {"decay": decay, "update_every_n_steps": every, "update_starting_at_step": start}
    assert initial_share(EMA(**{"_target_": WARMED, **settings}), steps) == pytest.approx(share, abs=1e-12)


def test_an_average_that_warms_up_is_warned_of_only_where_it_never_begins(raw: dict[str, Any]) -> None:
    assert not warnings(raw, batch_size=100, epochs=1, callbacks={"ema": {"_target_": WARMED}})
    late = {"ema": {"_target_": WARMED, "update_starting_at_step": 40}}
    [line] = warnings(raw, batch_size=100, epochs=4, callbacks=late)
    assert line == "callbacks.ema.update_starting_at_step=40: nothing is averaged in 40 steps"
    assert not warnings(raw, batch_size=100, epochs=5, callbacks=late)


def test_an_average_is_young_while_it_is_evaluated_and_mostly_of_the_beginning(raw: dict[str, Any]) -> None:
    constant = check({**raw, "callbacks": {"ema": {"_target_": CONSTANT, "update_starting_at_step": 50}}})
    assert [average_is_young(constant, steps) for steps in (20, 2000, 4000)] == [True, True, False]
    warmed = check({**raw, "callbacks": {"ema": {"_target_": WARMED, "update_starting_at_step": 50}}})
    assert [average_is_young(warmed, steps) for steps in (20, 50, 51, 60)] == [False, False, True, False]
    assert not average_is_young(check(raw), 1)


def test_only_a_warm_up_that_takes_the_whole_run_is_warned(raw: dict[str, Any]) -> None:
    rising = {**raw["scheduler"], "warmup": 3}
    for epochs in (2, 3):
        [line] = warnings(raw, epochs=epochs, scheduler=rising)
        assert line.startswith(f"scheduler.warmup=3 takes all of epochs={epochs}: ")
    assert not warnings(raw, epochs=4, scheduler=rising)


def test_a_warm_up_that_ends_within_an_epoch_is_warned_where_rates_change_by_epoch(raw: dict[str, Any]) -> None:
    half = {**raw["scheduler"], "warmup": 0.5, "interval": "epoch"}
    [line] = warnings(raw, scheduler=half)
    assert line == "scheduler.warmup=0.5 is rounded to 0 epochs; scheduler.interval=step takes it exactly"
    assert not warnings(raw, scheduler={**half, "interval": "step"})
    assert not warnings(raw, scheduler={**half, "warmup": 2.0})


def test_steps_of_the_rate_that_a_run_does_not_reach_are_warned(raw: dict[str, Any]) -> None:
    """1000 samples in batches of 100: 10 steps an epoch. Milestones count from the start, step_size behind the rise."""
    torchs = "torch.optim.lr_scheduler"
    milestones = {"_target_": f"{torchs}.MultiStepLR", "milestones": [2, 20]}
    [line] = warnings(raw, epochs=20, scheduler=milestones)
    assert line == "scheduler.milestones=[2, 20]: the last is not reached in 20 epochs"
    assert not warnings(raw, epochs=21, scheduler=milestones)
    assert not warnings(raw, batch_size=100, epochs=3, scheduler={**milestones, "interval": "step"})
    steps = {"_target_": f"{torchs}.StepLR", "step_size": 8, "warmup": 2}
    [line] = warnings(raw, epochs=10, scheduler=steps)
    assert line == "scheduler.step_size=8 is not reached in 10 epochs: the rate stays as it is"
    assert not warnings(raw, epochs=11, scheduler=steps)
    by_step = {**steps, "interval": "step"}
    assert warnings(raw, batch_size=500, epochs=6, scheduler=by_step)[0].endswith(
        "in 12 steps: the rate stays as it is"
    )
    assert not warnings(raw, batch_size=500, epochs=7, scheduler=by_step)


def test_a_cosine_that_rises_again_within_the_run_is_warned(raw: dict[str, Any]) -> None:
    """1000 samples in batches of 100: 10 steps an epoch, of which a warm-up of an epoch leaves 40."""
    cosine = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 5, "interval": "step", "warmup": 1}
    [line] = warnings(raw, batch_size=100, epochs=5, scheduler=cosine)
    assert line.startswith("scheduler.T_max=5 steps are over before the run: the rate rises again after them; ")
    assert warnings(raw, batch_size=100, epochs=5, scheduler={**cosine, "T_max": 39})
    assert not warnings(raw, batch_size=100, epochs=5, scheduler={**cosine, "T_max": 40})
    assert not warnings(raw, batch_size=100, epochs=6, scheduler={**cosine, "interval": "epoch"})
    assert not warnings(raw, batch_size=100, epochs=6, scheduler={**cosine, "T_max": None})


@pytest.mark.parametrize(
    ("optimizer", "settings", "shown"),
    [
        ("SGD", {"momentum": 0.0}, "optimizer.momentum=0.0"),
        ("SGD", {"momentum": 0.9}, None),
        ("RMSprop", {}, "optimizer.momentum=0.0"),
        ("Adam", {}, None),
        ("Adam", {"betas": [0.5, 0.999]}, "optimizer.betas=[0.5, 0.999]"),
    ],
)
def test_a_momentum_that_the_cycle_replaces_is_warned(
    raw: dict[str, Any], optimizer: str, settings: dict[str, Any], shown: str | None
) -> None:
    chosen = {"_target_": f"torch.optim.{optimizer}", "lr": 0.1, **settings}
    cycle = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.1}
    lines = warnings(raw, optimizer=chosen, scheduler=cycle)
    line = (
        f"scheduler=one_cycle cycles the momentum between 0.85 and 0.95, {shown} has no effect: "
        "scheduler.cycle_momentum=false leaves it as it is"
    )
    assert lines == ([] if shown is None else [line])
    assert not warnings(raw, optimizer=chosen, scheduler={**cycle, "cycle_momentum": False})


def test_a_plateau_knows_no_steps(raw: dict[str, Any]) -> None:
    plateau = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "warmup": 0.5}
    assert warnings(raw, scheduler=plateau) == ["scheduler.warmup=0.5 is rounded to 0 epochs"]


def test_a_run_says_so_once_at_its_start(small: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    constant = f"callbacks.ema._target_={CONSTANT}"
    assert small("callbacks=[ema]", constant, "scheduler.warmup=1", "++trainer.progress=true") == 0
    lines = capsys.readouterr().out.splitlines()
    for beginning in ("callbacks.ema: ", "scheduler.warmup=1 takes all"):
        [line] = [line for line in lines if line.startswith(beginning)]
        assert lines.index(line) < next(number for number, each in enumerate(lines) if each.startswith("epoch "))
