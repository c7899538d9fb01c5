"""The watcher: what it reads of a run's folder while the run writes there, and how it asks the run to end."""

import time
from pathlib import Path

import pytest

from membrane.runs.contents import PRUNE
from membrane.sweep.search.pruning import WatchedRun, Watcher, values_by_epochs

TABLE = "epoch,step,train/loss,val/acc\r\n0,10,1.5,\r\n0,20,,0.25\r\n1,30,1.1,\r\n1,40,,0.5\r\n2,60,,0.75\r\n"


class Trial:
    """A trial that should be pruned once the value ``hopeless`` was reported."""

    def __init__(self, hopeless: float) -> None:
        self.hopeless = hopeless
        self.reports: list[tuple[int, float]] = []

    def report(self, value: float, step: int) -> None:
        self.reports.append((step, value))

    def should_prune(self) -> bool:
        return self.reports[-1][1] == self.hopeless


def test_a_table_that_is_being_written_gives_its_whole_rows(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    rows = {"0,20,,0.25\r": (1, 0.25), "1,40,,0.5\r": (2, 0.5), "2,60,,0.75\r": (3, 0.75)}
    ends = {TABLE.index(row) + len(row): values for row, values in rows.items()}
    for size in range(len(TABLE) + 1):
        table.write_bytes(TABLE[:size].encode())
        assert list(values_by_epochs(table, "val/acc")) == [values for end, values in ends.items() if size >= end]
        assert list(values_by_epochs(table, "val/loss")) == []
    assert list(values_by_epochs(tmp_path / "none.csv", "val/acc")) == []


def test_each_epoch_is_reported_once_and_none_after_the_one_without_hope(tmp_path: Path) -> None:
    trial = Trial(hopeless=0.5)
    run = WatchedRun(tmp_path, trial, "val/acc")
    run.look()
    assert trial.reports == []
    (tmp_path / "metrics.csv").write_text(TABLE[: TABLE.index("1,30")])
    for _ in range(3):
        run.look()
    assert trial.reports == [(1, 0.25)]
    assert not (tmp_path / PRUNE).exists()
    (tmp_path / "metrics.csv").write_text(TABLE)
    run.look()
    assert trial.reports == [(1, 0.25), (2, 0.5)]
    assert (tmp_path / PRUNE).exists()
    (tmp_path / PRUNE).unlink()  # a run that starts removes what an earlier one left: it is asked again
    run.look()
    assert (tmp_path / PRUNE).exists()
    assert len(trial.reports) == 2


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_runs_are_watched_while_they_run_and_one_that_cannot_be_read_disturbs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    (bad / "metrics.csv").mkdir(parents=True)
    good.mkdir()
    runs = [WatchedRun(bad, Trial(0), "val/acc"), WatchedRun(good, Trial(0.75), "val/acc")]
    with caplog.at_level("WARNING", "membrane"), Watcher(runs, seconds=0.01) as watcher:
        (good / "metrics.csv").write_text(TABLE)
        wait_for(good / PRUNE)
    assert not watcher.thread.is_alive()
    assert not (good / PRUNE).exists()
    assert [run.pruned for run in runs] == [False, True]
    assert f"{bad} is not watched any more, it cannot be pruned: " in caplog.text
