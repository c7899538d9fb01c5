"""The rate that metrics.csv gives for a step is that with which the step was made, by the schedules' formulas."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from fits import fit

from membrane.runs.table import read_rows

LR, EPOCHS = 0.1, 4
FOUR_STEPS = ("batch_size=400",)  # of 1437 samples
TWO_STEPS = ("batch_size=400", "trainer.accumulate=3")
Rate = Callable[[int, int], float]
"""(t, length) → the rate at step (or epoch) t = 0 … of so many, without a rise before."""


def constant(t: int, length: int) -> float:
    return LR


def cosine(t: int, length: int) -> float:
    return LR * (1 + math.cos(math.pi * t / length)) / 2


def step(t: int, length: int) -> float:
    return LR * 0.5 ** (t // 2)


def exponential(t: int, length: int) -> float:
    return LR * 0.8**t


def one_cycle(t: int, length: int) -> float:
    """From max/25 up to max, and down to max/25/10⁴, along half cosines; the top is at 0.3 of the steps, less one."""
    top, low = 0.5, 0.5 / 25
    peak, end = 0.3 * length - 1, length - 1
    start, goal, share = (low, top, t / peak) if t <= peak else (top, low / 1e4, (t - peak) / (end - peak))
    return goal + (start - goal) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, tuple[Rate, tuple[str, ...]]] = {
    "constant": (constant, ()),
    "cosine": (cosine, ()),
    "step": (step, ("scheduler.step_size=2", "scheduler.gamma=0.5")),
    "exponential": (exponential, ("scheduler.gamma=0.8",)),
    "one_cycle": (one_cycle, ("scheduler.max_lr=0.5",)),
}
BY_EPOCH = [(name, "epoch", warmup, FOUR_STEPS) for name in SCHEDULES if name != "one_cycle" for warmup in (0, 2)]
BY_STEP = [(name, "step", warmup, sizes) for name, _, warmup, sizes in BY_EPOCH] + [
    ("one_cycle", "step", 0, FOUR_STEPS)
]
ACCUMULATING = [
    ("cosine", "step", 1, TWO_STEPS),
    ("cosine", "epoch", 1, TWO_STEPS),
    ("one_cycle", "step", 0, TWO_STEPS),
]


@pytest.mark.parametrize(("scheduler", "interval", "warmup", "sizes"), [*BY_EPOCH, *BY_STEP, *ACCUMULATING])
def test_the_rate_of_every_row_is_that_of_its_step(
    tmp_path: Path, scheduler: str, interval: str, warmup: int, sizes: tuple[str, ...]
) -> None:
    rate, changes = SCHEDULES[scheduler]
    schedule = (
        "optimizer=sgd",
        f"optimizer.lr={LR}",
        f"scheduler={scheduler}",
        f"scheduler.interval={interval}",
        *changes,
    )
    few = ("protocol=last", "log_every=1", f"epochs={EPOCHS}", f"scheduler.warmup={warmup}", *sizes)
    fit(tmp_path, *schedule, *few)
    rows, a_step = read_rows(tmp_path / "run" / "metrics.csv"), interval == "step"
    steps = 4 if sizes == FOUR_STEPS else 2
    rise = warmup * steps if a_step else warmup
    length = (EPOCHS * steps if a_step else EPOCHS) - rise
    assert [row["step"] for row in rows if "train/loss" in row] == list(range(1, EPOCHS * steps + 1))
    assert len(rows) == EPOCHS * (steps + 1)
    for row in rows:
        t = int(row["step"]) - 1 if a_step else int(row["epoch"])
        expected = LR * (t + 1) / (rise + 1) if t < rise else rate(t - rise, length)
        assert row["lr"] == pytest.approx(expected, rel=1e-5, abs=1e-12), row["step"]
