"""A whole run's rate follows its metric by torch's rule, with the values that stand in metrics.csv."""

import math
from collections.abc import Callable

import pytest
from configurations import configured
from run_paths import only

from membrane.errors import ConfigError
from membrane.runs.table import read_rows

LR, EPOCHS = 0.02, 7
RISE = "scheduler.warmup=2"


def expected_rates(values: list[float], warmup: int, improves: Callable[[float, float], bool], cooldown: int) -> list:
    """The rate of every epoch: halved, to 0.003 at least, when a value after the rise is not better than the best."""
    rates = [LR * (epoch + 1) / (warmup + 1) for epoch in range(warmup)]
    rate, best, resting = LR, math.nan, 0
    for value in values[warmup:]:
        rates.append(rate)
        better = math.isnan(best) or improves(value, best)
        best = value if better else best
        if resting:
            resting -= 1
        elif not better:
            rate, resting = max(rate / 2, 0.003), cooldown
    return rates


@pytest.mark.parametrize(
    ("monitor", "changes", "improves", "cooldown"),
    [
        ("val/loss", (), lambda value, best: value < 0.7 * best, 0),
        ("val/acc", (RISE, "callbacks=ema"), lambda value, best: value > 1.3 * best, 1),
        (
            "train/loss",
            ("protocol=last", "trainer.accumulate=2", "neuron=plif", "optimizer.lr_tau=1"),
            lambda value, best: value < 0.7 * best,
            0,
        ),
    ],
)
def test_the_rate_follows_what_metrics_csv_shows(
    monitor: str,
    changes: tuple[str, ...],
    improves: Callable[[float, float], bool],
    cooldown: int,
    small: Callable[..., int],
) -> None:
    followed = (f"scheduler.monitor={monitor}", f"scheduler.cooldown={cooldown}", "scheduler.threshold=0.3")
    settings = (
        "scheduler=plateau",
        "scheduler.factor=0.5",
        "scheduler.patience=0",
        "scheduler.min_lr=0.003",
        *followed,
    )
    few = (f"epochs={EPOCHS}", "batch_size=200", "log_every=1000", f"optimizer.lr={LR}")  # a training row an epoch
    assert small(*settings, *few, *changes) == 0
    rows = [row for row in read_rows(only("*/*/seed0/metrics.csv")) if monitor in row]
    rates = expected_rates([row[monitor] for row in rows], 2 if RISE in changes else 0, improves, cooldown)
    assert [row["lr"] for row in rows] == pytest.approx(rates, rel=1e-9)
    assert len(set(rates)) > 2  # it fell more than once


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (("protocol=last",), "scheduler.monitor=val/loss is measured in validation, of which protocol=last has none"),
        (("protocol=paper_best_on_test",), "has none: use scheduler.monitor=train/loss"),
        (("scheduler.monitor=val/mae",), "scheduler.monitor=val/mae: not measured in classification"),
        (("scheduler.monitor=val/best",), "scheduler.monitor: expected 'train/loss', 'val/acc'"),
        (("scheduler.interval=step",), "scheduler.interval: expected 'epoch', got 'step'"),
    ],
)
def test_a_metric_that_is_not_measured_is_refused(typed: tuple[str, ...], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        configured("scheduler=plateau", *typed)
    assert configured("scheduler=plateau", "scheduler.monitor=train/loss", "protocol=last").scheduler.follows


def test_milestones_that_do_not_rise_are_refused() -> None:
    for milestones in ("[5,3]", "[3,3]", "[]", "[0,3]"):
        with pytest.raises(ConfigError, match="milestones"):
            configured("scheduler=multistep", f"scheduler.milestones={milestones}")
