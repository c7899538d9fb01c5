"""Trackers: never a prompt, never a failed run, the same id for the same run."""

import hashlib
import logging
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from configurations import configured

from membrane.schema import Config
from membrane.schema.training import Wandb
from membrane.tracking.loggers import Tracker, build_wandb_logger, logged_in, sync_command, wandb_id


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


def test_the_offline_parts_of_a_resumed_run_are_sent_in_order_by_one_command(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    assert sync_command(run) is None
    parts = [run / "wandb" / f"offline-run-20260{month}01_120000-ab12" for month in (3, 1, 2)]
    for part in parts:
        part.mkdir(parents=True)
        (part / "run-ab12.wandb").touch()
    command = sync_command(run)
    assert command is not None
    assert shlex.split(command) == ["wandb", "sync", *map(str, (parts[1], parts[2], parts[0]))]
    (parts[1] / "run-ab12.wandb.synced").touch()  # sent by an earlier call
    assert sync_command(run) == shlex.join(["wandb", "sync", str(parts[2]), str(parts[0])])


def test_a_run_that_ends_offline_prints_how_it_is_sent(
    small: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("logger=wandb") == 0
    [part] = Path("runs").glob("digits/*/seed0/wandb/offline-run-*")
    assert f"wandb:  wandb sync {part}\n" in capsys.readouterr().out


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is asked of Weights & Biases, in order; its service answers nobody."""
    calls: list[str] = []

    def start(**settings: Any) -> SimpleNamespace:
        calls.append(settings["mode"])
        if settings["mode"] == "online":
            raise ConnectionError("the service is down")
        return SimpleNamespace(experiment=None, settings=settings)

    monkeypatch.setattr("membrane.tracking.loggers.WandbLogger", start)
    server = SimpleNamespace(settings=SimpleNamespace(base_url="https://api.wandb.ai"))
    monkeypatch.setattr(wandb, "setup", lambda settings: server)
    monkeypatch.setattr(wandb, "teardown", lambda: calls.append("teardown"))
    monkeypatch.delenv("WANDB_MODE")
    return calls


def started(config: Config) -> Any:
    assert isinstance(config.logger, Wandb)
    return build_wandb_logger(config, config.logger, {"saved": 1}, Path("run"), "0123456789ab", 2)


@pytest.mark.parametrize(
    ("mode", "key", "calls"),
    [
        (None, None, ["offline"]),
        (None, "a-key", ["online", "teardown", "offline"]),  # without the teardown its service would keep the id
        ("offline", "a-key", ["offline"]),
        ("disabled", "a-key", ["disabled"]),
        ("online", "a-key", ["online", "teardown", "offline"]),
    ],
)
def test_wandb_is_asked_only_if_someone_is_logged_in_and_else_keeps_the_run_offline(
    mode: str | None,
    key: str | None,
    calls: list[str],
    services: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in (("WANDB_MODE", mode), ("WANDB_API_KEY", key)):
        if value is not None:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(wandb, "api", SimpleNamespace(api_key=None))
    with caplog.at_level(logging.INFO):
        settings = started(configured("logger=wandb", "logger.project=mine", "seed=3", "name=x")).settings
    assert services == calls
    lines = {
        ("offline",): ["wandb: not logged in, so this run is kept offline; `wandb sync` sends it later"],
        ("online", "teardown", "offline"): [
            "wandb: the service is down; this run is kept offline, `wandb sync` sends it later"
        ],
    }
    assert caplog.messages == ([] if mode in ("offline", "disabled") else lines[tuple(calls)])
    about = {"project": "mine", "name": "x-seed3", "group": "0123456789ab", "config": {"saved": 1}}
    about["save_dir"] = str(Path("run").absolute())
    assert {name: settings[name] for name in about} == about
    assert settings["id"] == wandb_id("x", "0123456789ab", 3, 2)


def test_a_key_that_wandb_has_kept_is_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, expected in (("kept", True), (None, False), ("", False)):
        monkeypatch.setattr(wandb, "api", SimpleNamespace(api_key=key))
        assert logged_in() is expected


def test_a_tracker_is_started_once_and_is_told_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    logger = SimpleNamespace(
        experiment=None,
        log_metrics=lambda values, step=None: calls.append((values, step)),
        finalize=calls.append,
    )

    def start() -> Any:
        calls.append("start")
        return logger

    tracker = Tracker(start, "mine")
    tracker.metrics({"a": 1.0}, 1)
    tracker.metrics({"a": 2.0}, 2)
    tracker.result({"b": 3.0}, [])
    tracker.finish("failed")
    tracker.finish("success")
    tracker.metrics({"a": 4.0}, 3)
    assert calls == ["start", ({"a": 1.0}, 1), ({"a": 2.0}, 2), ({"b": 3.0}, None), "failed"]


@pytest.mark.parametrize(("status", "code"), [("success", 0), ("failed", 1)])
def test_wandb_is_told_the_scores_the_figures_and_how_the_run_ended(
    status: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Logger:
        experiment = SimpleNamespace(
            summary=SimpleNamespace(update=lambda values: calls.append(("summary", values))),
            log=lambda images: calls.append(("images", images)),
            finish=lambda exit_code: calls.append(("finish", exit_code)),
        )

        def finalize(self, status: str) -> None:
            calls.append(("finalize", status))

    monkeypatch.setattr("membrane.tracking.loggers.WandbLogger", Logger)
    monkeypatch.setattr(wandb, "Image", lambda path: f"image of {path}")
    tracker = Tracker(Logger, "wandb")
    tracker.begin()
    tracker.result({"test/acc": 0.5}, [Path("figures/raster.png")])
    tracker.finish(status)
    assert calls == [
        ("summary", {"test/acc": 0.5}),
        ("images", {"figures/raster": "image of figures/raster.png"}),
        ("finalize", status),
        ("finish", code),
    ]


def test_tensorboard_has_the_same_numbers(small: Callable[..., int]) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert small("logger=tensorboard", "epochs=2") == 0
    run = next(Path("runs").glob("digits/*/seed0"))
    events = reading.EventAccumulator(str(next(run.rglob("events.out.*")).parent))
    events.Reload()
    from membrane.runs.table import read_rows

    expected = [row["val/acc"] for row in read_rows(run / "metrics.csv") if "val/acc" in row]
    assert [event.value for event in events.Scalars("val/acc")][:2] == pytest.approx(expected, abs=1e-6)
