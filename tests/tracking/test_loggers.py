"""Trackers: never a prompt, never a failed run, the same id for the same run."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from membrane.tracking.loggers import Tracker, wandb_id


def test_the_identity_is_a_hash_of_what_a_run_is() -> None:
    expected = hashlib.sha256(b"digits:0123456789ab:3:1").hexdigest()[:16]
    assert wandb_id("digits", "0123456789ab", 3, 1) == expected


def test_a_tracker_that_cannot_start_is_said_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tracker = Tracker(lambda: 1 / 0, "wandb")
        tracker.metrics({"val/acc": 1.0}, 1)
        tracker.result({"val/acc": 1.0}, [])
        tracker.finish("success")
    assert [record.message for record in caplog.records] == [
        "wandb is not available (division by zero); metrics.csv has everything"
    ]


class Breaks:
    """A logger whose connection drops at the second row."""

    def __init__(self) -> None:
        self.rows = 0
        self.experiment = None

    def log_metrics(self, values: dict, step: int) -> None:
        self.rows += 1
        if self.rows == 2:
            raise ConnectionError("the network is gone")


def test_a_tracker_that_breaks_half_way_is_given_up_once(caplog: pytest.LogCaptureFixture) -> None:
    logger = Breaks()
    with caplog.at_level(logging.WARNING):
        tracker = Tracker(lambda: logger, "wandb")
        for step in range(5):
            tracker.metrics({"val/acc": 1.0}, step)
    assert logger.rows == 2
    assert len(caplog.records) == 1


def test_offline_wandb_keeps_the_run_beside_its_results(small: Callable[..., int]) -> None:
    assert small("logger=wandb") == 0
    kept = list(Path("runs").glob("digits/*/seed0/wandb/offline-run-*/*.wandb"))
    assert len(kept) == 1
    run = kept[0].parents[2]
    assert (run / "result.json").exists()
    assert kept[0].stem.removeprefix("run-") == wandb_id("digits", run.parent.name, 0, 0)


def test_tensorboard_has_the_same_numbers(small: Callable[..., int]) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert small("logger=tensorboard", "epochs=2") == 0
    run = next(Path("runs").glob("digits/*/seed0"))
    events = reading.EventAccumulator(str(next(run.rglob("events.out.*")).parent))
    events.Reload()
    from membrane.runs.table import read_rows

    expected = [row["val/acc"] for row in read_rows(run / "metrics.csv") if "val/acc" in row]
    assert [event.value for event in events.Scalars("val/acc")][:2] == pytest.approx(expected, abs=1e-6)
