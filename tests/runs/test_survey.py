"""All runs of a folder: which count, in what order, and how long what is left of them takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from run_folders import NOW, finished_run, record_sweep, statuses, unfinished_run, write_metrics

from membrane.runs.survey import survey


def test_what_was_moved_aside_and_debug_runs_are_left_out(runs: Path) -> None:
    for name in ("a/f0/seed0", "a/f0/seed0.1", "a/f0/seed0.12", "a/f0/seed1.1", ".debug/a/f0/seed0", "mine", "mine.1"):
        finished_run(runs / name)
    other = finished_run(runs / "mine.2")
    (other / "provenance.json").write_text(json.dumps({"fingerprint": "another", "seed": 0}))
    finished_run(runs / "a.1" / "f0" / "seed0")  # a name of its own
    record_sweep(runs, (".debug/a/f0/seed9", []))
    assert set(statuses(runs)) == {"a/f0/seed0", "mine", "mine.2", "a.1/f0/seed0"}
    assert set(statuses(runs / "a" / "f0" / "seed0.1")) == {str(runs / "a" / "f0" / "seed0.1")}  # asked for outright


def test_a_link_that_leads_back_is_followed_once(runs: Path) -> None:
    finished_run(runs / "a" / "f0" / "seed0")
    (runs / "a" / "back").symlink_to(runs)
    (runs / "a" / "nowhere").symlink_to(runs / "gone")
    assert len(statuses(runs)) == 1


def test_a_job_of_several_sweeps_is_one_row_with_what_was_typed_last(runs: Path) -> None:
    record_sweep(runs, ("a/f1/seed0", ["lr=1"]), ("a/f1/seed1", ["lr=1", "seed=1"]), at="2030-01-01T00-00-00")
    record_sweep(
        runs, ("a/f1/seed0", ["optimizer.lr=1"]), (str(runs / "a/f1/seed0"), ["twice"]), at="2030-01-02T00-00-00"
    )
    surveyed = survey(runs, NOW)
    assert {run.folder: run.overrides for run in surveyed.runs} == {
        "a/f1/seed0": ["twice"],
        "a/f1/seed1": ["lr=1", "seed=1"],
    }
    unfinished_run(runs / "a" / "f1" / "seed1")
    assert statuses(runs) == {"a/f1/seed0": "missing", "a/f1/seed1": "broken off"}


def test_newest_first_and_runs_of_a_name_together(runs: Path) -> None:
    for name, age in (("old/f0/seed0", 50), ("new/f0/seed0", 90), ("old/f1/seed0", 70), ("new/f0/seed1", 10)):
        finished_run(runs / name, changed=NOW - age)
    assert list(statuses(runs)) == ["new/f0/seed1", "new/f0/seed0", "old/f0/seed0", "old/f1/seed0"]


def test_time_left_of_what_runs_and_what_is_missing(runs: Path, hold: Callable[..., int]) -> None:
    assert survey(runs, NOW).left() is None
    first = unfinished_run(runs / "a" / "f0" / "seed0", epochs=10)
    write_metrics(first, epochs=4, seconds=10)  # 60 s left of 100 s
    hold(first)
    assert survey(runs, NOW).left() == pytest.approx(60)
    record_sweep(runs, *((f"a/f{n}/seed0", []) for n in range(4)))
    assert survey(runs, NOW).left() == pytest.approx(60 + 3 * 100)
    second = unfinished_run(runs / "a" / "f1" / "seed0", epochs=10)
    write_metrics(second, epochs=8, seconds=10)  # 20 s left
    hold(second)
    assert survey(runs, NOW).left() == pytest.approx((60 + 20 + 2 * 100) / 2)
