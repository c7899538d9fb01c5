"""The watcher: what it reads of a run's folder while another writes it, and how it asks the run to end."""

import time
from pathlib import Path

import pytest

from membrane.runs.folder import PRUNE
from membrane.sweep.search.pruning import Progress, Watcher, epochs

TABLE = "epoch,step,train/loss,val/acc\r\n0,10,1.5,\r\n0,20,,0.25\r\n1,30,1.1,\r\n1,40,,0.5\r\n2,60,,0.75\r\n"


class Trial:
    """Has no hope once it has heard ``hopeless``."""

    def __init__(self, hopeless: float) -> None:
        self.hopeless = hopeless
        self.heard: list[tuple[int, float]] = []

    def report(self, value: float, step: int) -> None:
        self.heard.append((step, value))

    def should_prune(self) -> bool:
        return self.heard[-1][1] == self.hopeless


def test_a_table_that_is_being_written_gives_its_whole_rows(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    rows = {"0,20,,0.25\r": (1, 0.25), "1,40,,0.5\r": (2, 0.5), "2,60,,0.75\r": (3, 0.75)}
    ends = {TABLE.index(row) + len(row): said for row, said in rows.items()}
    for size in range(len(TABLE) + 1):
        table.write_bytes(TABLE[:size].encode())
        assert list(epochs(table, "val/acc")) == [said for end, said in ends.items() if size >= end]
        assert list(epochs(table, "val/loss")) == []
    assert list(epochs(tmp_path / "none.csv", "val/acc")) == []


def test_each_epoch_is_told_once_and_nothing_after_the_one_without_hope(tmp_path: Path) -> None:
    trial = Trial(hopeless=0.5)
    progress = Progress(tmp_path, trial, "val/acc")
    progress.look()
    assert trial.heard == []
    (tmp_path / "metrics.csv").write_text(TABLE[: TABLE.index("1,30")])
    for _ in range(3):
        progress.look()
    assert trial.heard == [(1, 0.25)]
    assert not (tmp_path / PRUNE).exists()
    (tmp_path / "metrics.csv").write_text(TABLE)
    progress.look()
    assert trial.heard == [(1, 0.25), (2, 0.5)]
    assert (tmp_path / PRUNE).exists()
    (tmp_path / PRUNE).unlink()  # a run that starts removes what an earlier one left: it is asked again
    progress.look()
    assert (tmp_path / PRUNE).exists()
    assert len(trial.heard) == 2


def until(path: Path) -> None:
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
    runs = [Progress(bad, Trial(0), "val/acc"), Progress(good, Trial(0.75), "val/acc")]
    with caplog.at_level("WARNING", "membrane"), Watcher(runs, seconds=0.01) as watcher:
        (good / "metrics.csv").write_text(TABLE)
        until(good / PRUNE)
    assert not watcher.thread.is_alive()
    assert not (good / PRUNE).exists()
    assert [run.pruned for run in runs] == [False, True]
    assert f"{bad} is not watched any more, it cannot be pruned: " in caplog.text
