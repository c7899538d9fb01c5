"""The learning rate of every step of a fit, by metrics.csv, against the closed formula of its schedule."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from fits import fit

from membrane.runs.table import read_rows

LR, EPOCHS, STEPS = 0.1, 4, 3
"""1221 training samples in batches of 407 make three steps an epoch."""
SCHEDULES: dict[str, tuple[tuple[str, ...], Callable[[int, int], float]]] = {
    "constant": ((), lambda at, length: LR),
    "cosine": (("scheduler.eta_min=0.01",), lambda at, length: 0.01 + 0.09 * (1 + math.cos(math.pi * at / length)) / 2),
    "step": (("scheduler.step_size=2", "scheduler.gamma=0.5"), lambda at, length: LR * 0.5 ** (at // 2)),
    "exponential": (("scheduler.gamma=0.9",), lambda at, length: LR * 0.9**at),
}
"""Choice → its settings, and its rate at the step (or epoch) ``at`` of so many, both without the warm-up."""


def expected_rates(schedule: Callable[[int, int], float], by: str, warmup: int, steps: int = STEPS) -> list[float]:
    """The rate of every step: a linear rise over ``warmup`` epochs, then the schedule over what is left."""
    per_epoch = steps if by == "step" else 1
    rise, length = warmup * per_epoch, EPOCHS * per_epoch
    rates = []
    for step in range(EPOCHS * steps):
        at = step if by == "step" else step // steps
        rates.append(LR * (at + 1) / (rise + 1) if at < rise else schedule(at - rise, length - rise))
    return rates


def recorded_rates(folder: Path, *arguments: str) -> list[float]:
    """Fit, and return the rate of every step, which the rows of training and of epochs must agree on."""
    settings = ("optimizer=sgd", f"optimizer.lr={LR}", f"epochs={EPOCHS}", "batch_size=407", "log_every=1")
    fit(folder, *settings, *arguments)
    rows = read_rows(folder / "run" / "metrics.csv")
    rates = {int(row["step"]): row["lr"] for row in rows if "train/loss" in row}
    after = {int(row["step"]): row["lr"] for row in rows if "val/loss" in row}
    assert after == {step: rates[step] for step in after}
    assert len(after) == EPOCHS
    assert list(rates) == list(range(1, len(rates) + 1))
    return list(rates.values())


@pytest.mark.product
@pytest.mark.parametrize("warmup", [0, 1, 4, 6])
@pytest.mark.parametrize("by", ["step", "epoch"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_step_has_the_rate_of_the_formula(schedule: str, by: str, warmup: int, tmp_path: Path) -> None:
    """A warm-up as long as the run (4 epochs), or longer, is a rise and nothing else."""
    settings, formula = SCHEDULES[schedule]
    chosen = (f"scheduler={schedule}", f"scheduler.interval={by}", f"scheduler.warmup={warmup}", *settings)
    rates = recorded_rates(tmp_path, *chosen)
    assert rates == pytest.approx(expected_rates(formula, by, warmup), rel=1e-6, abs=1e-9)
    if warmup >= EPOCHS:
        assert rates == sorted(rates)
        assert rates[-1] < LR


@pytest.mark.parametrize(
    ("by", "warmup", "milestones"), [("step", 1, [4, 7]), ("epoch", 0, [1, 3]), ("epoch", 2, [1, 3])]
)
def test_milestones_are_those_of_the_whole_run(by: str, warmup: int, milestones: list[int], tmp_path: Path) -> None:
    chosen = ("scheduler=multistep", f"scheduler.interval={by}", f"scheduler.warmup={warmup}", "scheduler.gamma=0.5")
    rates = recorded_rates(tmp_path, *chosen, f"scheduler.milestones={milestones}")
    rise = warmup * (STEPS if by == "step" else 1)
    formula = lambda at, length: LR * 0.5 ** sum(milestone <= at + rise for milestone in milestones)  # noqa: E731
    assert rates == pytest.approx(expected_rates(formula, by, warmup), rel=1e-6)


def test_accumulation_and_a_dropped_batch_shorten_the_schedule(tmp_path: Path) -> None:
    """In batches of 244 there are five whole ones and one of a single sample: three steps of two, the last of one."""
    chosen = ("scheduler=cosine", "scheduler.interval=step", "batch_size=244", "trainer.accumulate=2")
    rates = recorded_rates(tmp_path, *chosen, "trainer.last_batch=drop")
    formula = lambda at, length: LR * (1 + math.cos(math.pi * at / length)) / 2  # noqa: E731
    assert rates == pytest.approx(expected_rates(formula, "step", 0), rel=1e-6, abs=1e-9)


def test_a_fraction_of_an_epoch_warms_up_by_step(tmp_path: Path) -> None:
    rates = recorded_rates(tmp_path, "scheduler.interval=step", "scheduler.warmup=0.67")
    assert rates == pytest.approx([LR / 3, 2 * LR / 3, *[LR] * (EPOCHS * STEPS - 2)], rel=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.0, 1 / 12, 0.25])
def test_a_cycle_rises_and_falls_over_all_steps(share: float, tmp_path: Path) -> None:
    """From max_lr/25 to max_lr at the step share·steps − 1, then to max_lr/250000 at the last, both along a cosine."""
    rates = recorded_rates(tmp_path, "scheduler=one_cycle", "scheduler.max_lr=0.5", f"scheduler.pct_start={share}")
    low, high, end, total = 0.5 / 25, 0.5, 0.5 / 25 / 1e4, EPOCHS * STEPS
    top = share * total - 1

    def along(start: float, stop: float, part: float) -> float:
        return stop + (start - stop) * (1 + math.cos(math.pi * part)) / 2

    expected = [
        along(low, high, step / top) if step < top else along(high, end, (step - top) / (total - 1 - top))
        for step in range(total)
    ]
    assert rates == pytest.approx(expected, rel=1e-5, abs=1e-9)
