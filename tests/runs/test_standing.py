"""Where a run stands, told from its folder alone, after every ending and while another process runs it."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import (
    NOW,
    TRACEBACK,
    failed_run,
    finished_run,
    lock_of,
    record_sweep,
    statuses,
    unfinished_run,
    write_metrics,
)

from membrane.runs.standing import failure_line, lock_holder
from membrane.runs.survey import survey


def test_a_run_that_went_on_after_it_had_failed_has_not_failed(runs: Path) -> None:
    run = failed_run(runs / "a" / "f0" / "seed0")
    assert statuses(runs) == {"a/f0/seed0": "failed"}
    os.utime(run / "FAILED.json", (NOW - 100, NOW - 100))
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    os.utime(run / "checkpoints", (NOW, NOW))
    assert statuses(runs) == {"a/f0/seed0": "stopped"}


def test_every_ending_has_its_status(runs: Path, tmp_path: Path, hold: Callable[..., int]) -> None:
    finished_run(runs / "a" / "f0" / "seed0")
    failed_run(runs / "a" / "f1" / "seed0")
    unfinished_run(runs / "a" / "f2" / "seed0", checkpoint=True)
    unfinished_run(runs / "a" / "f3" / "seed0")
    (unfinished_run(runs / "a" / "f4" / "seed0", checkpoint=True) / "PRUNE").touch()
    hold(failed_run(runs / "a" / "f5" / "seed0"))  # what failed before is running now
    finished_run(tmp_path / "elsewhere")
    record_sweep(runs, ("a/f0/seed0", []), ("a/f6/seed0", ["seed=0"]), (str(tmp_path / "elsewhere"), []))
    assert statuses(runs) == {
        "a/f0/seed0": "finished",
        "a/f1/seed0": "failed",
        "a/f2/seed0": "stopped",
        "a/f3/seed0": "broken off",
        "a/f4/seed0": "pruned",
        "a/f5/seed0": "running",
        "a/f6/seed0": "missing",
        str(tmp_path / "elsewhere"): "finished",
    }


def test_a_running_run_says_how_far_it_is_and_who_runs_it(runs: Path, hold: Callable[..., int]) -> None:
    folder = unfinished_run(runs / "a" / "f0" / "seed0", epochs=20)
    write_metrics(folder, epochs=5, seconds=10, age=4)
    process = hold(folder)
    [run] = survey(runs, NOW).runs
    assert run.process == f"process {process} on {socket.gethostname()}"
    assert (run.completed, run.epochs, run.seconds, run.age) == (5, 20, 50, pytest.approx(4, abs=1e-3))
    assert run.left == pytest.approx(15 * 10 - 4, abs=1e-3)
    assert not run.silent


def test_from_inside_a_run(runs: Path, hold: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unfinished_run(runs / "a" / "f0" / "seed0")
    hold(folder)
    monkeypatch.chdir(folder)
    assert statuses(Path()) == {".": "running"}


def test_a_run_is_silent_when_its_last_row_is_old(runs: Path, hold: Callable[..., int]) -> None:
    folder = unfinished_run(runs / "a" / "f0" / "seed0")
    hold(folder)
    for seconds, age, silent in ((10, 61, True), (10, 59, False), (300, 1000, False), (300, 1300, True)):
        write_metrics(folder, epochs=2, seconds=seconds, age=age)  # rows one second and seconds - 1 apart
        [run] = survey(runs, NOW).runs
        assert (run.silent, run.left is None) == (silent, silent), (seconds, age)
    os.utime(lock_of(folder), (NOW - 5, NOW - 5))  # it was resumed just now
    assert not survey(runs, NOW).runs[0].silent


def test_a_run_before_its_first_row(runs: Path, hold: Callable[..., int]) -> None:
    folder = unfinished_run(runs / "a" / "f0" / "seed0")
    hold(folder)
    os.utime(lock_of(folder), (NOW - 130, NOW - 130))
    [run] = survey(runs, NOW).runs
    assert (run.status, run.completed, run.epochs, run.left) == ("running", None, 20, None)
    assert run.age == pytest.approx(130, abs=1e-3)


def test_a_lock_is_looked_at_and_neither_taken_nor_changed(runs: Path, hold: Callable[..., int]) -> None:
    folder = runs / "a" / "f0" / "seed0"
    assert lock_holder(lock_of(folder)) == (None, 0.0)
    folder.parent.mkdir(parents=True)
    process = hold(folder)
    holder = f"process {process} on {socket.gethostname()}"
    assert lock_holder(lock_of(folder)) == (holder, NOW - 10_000)
    assert lock_of(folder).read_text() == holder
    os.kill(process, 9)
    os.waitpid(process, 0)
    assert lock_holder(lock_of(folder))[0] is None
    assert lock_of(folder).read_text() == holder


def test_the_lock_of_a_process_that_is_gone_is_not_even_tried(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock = runs / ".seed0.lock"

    def tried(*arguments: Any) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", tried)
    here = socket.gethostname()
    for text, holder in (
        (f"process {ended.pid} on {here}", None),
        (f"process {2**70} on {here}", None),
        ("", None),
        (f"process {os.getpid()} on {here}", f"process {os.getpid()} on {here}"),
        (f"process {ended.pid} on elsewhere", f"process {ended.pid} on elsewhere"),
    ):
        lock.write_text(text)
        assert lock_holder(lock)[0] == holder, text


def test_a_run_that_finishes_while_it_is_looked_at_is_finished(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unfinished_run(runs / "a" / "f0" / "seed0", checkpoint=True)

    def ending(lock: Path) -> tuple[None, float]:
        result = {"metrics": {}, "fit_seconds": 1.0, "epochs": 2}
        (folder / "result.json").write_text(json.dumps(result))
        return None, 0.0

    monkeypatch.setattr("membrane.runs.standing.lock_holder", ending)
    assert statuses(runs) == {"a/f0/seed0": "finished"}


def test_why_a_run_failed_in_one_line() -> None:
    assert failure_line({"error": "it broke", "traceback": TRACEBACK}) == "RuntimeError: it broke (learner.py:12)"
    lines = TRACEBACK.splitlines()
    assert failure_line({"error": "it broke", "traceback": lines}) == "RuntimeError: it broke (learner.py:12)"
    assert failure_line({"error": "killed by signal 9", "traceback": ""}) == "killed by signal 9"
    assert failure_line({"error": "two\nlines"}) == "two"
    assert failure_line({"error": ""}) == "unknown"


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        (["train.py", "model=smlp", "++seed=3"], ["model=smlp", "seed=3"]),
        (["membrane", "train", "--config-dir", "mine", "-p=x", "neuron.tau=2.5", "hydra.mode=RUN"], ["neuron.tau=2.5"]),
        (["membrane-train", "epochs=3"], ["epochs=3"]),  # as it was called once
        (["membrane", "train"], []),
        (["membrane", "train", "-m", "seed=0,1"], None),
        (["train.py", "sweep=seeds", "epochs=3"], None),
        (None, None),
        ("train.py", []),
    ],
    ids=str,
)
def test_a_single_run_says_with_what_it_was_started(runs: Path, command: object, overrides: list[str] | None) -> None:
    folder = finished_run(runs / "a" / "f0" / "seed0")
    recorded = {} if command is None else {"command": command}
    (folder / "provenance.json").write_text(json.dumps({"fingerprint": "f0", "seed": 0, **recorded}))
    [run] = survey(runs, NOW).runs
    assert run.overrides == overrides


def test_what_a_sweep_recorded_of_its_job_comes_first(runs: Path) -> None:
    folder = finished_run(runs / "a" / "f0" / "seed0")
    (folder / "provenance.json").write_text(json.dumps({"command": ["train.py", "seed=0", "trainer.progress=false"]}))
    record_sweep(runs, ("a/f0/seed0", ["seed=0"]))
    [run] = survey(runs, NOW).runs
    assert run.overrides == ["seed=0"]
