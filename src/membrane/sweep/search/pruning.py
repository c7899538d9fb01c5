"""Trials that end early: a watcher reads what runs write into their folders, and asks the hopeless ones to end."""

import csv
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

from membrane.errors import one_line
from membrane.runs.folder import PRUNE

log = logging.getLogger(__name__)
SECONDS = 1.0


class Watched(Protocol):
    """What the watcher needs of a trial."""

    def report(self, value: float, step: int) -> None:
        """Take the value after so many epochs."""

    def should_prune(self) -> bool:
        """Whether to end the run."""


class Progress:
    """One run's folder and the trial that is told of it."""

    def __init__(self, folder: Path, trial: Watched, metric: str) -> None:
        self.folder = folder
        self.trial = trial
        self.metric = metric
        self.reported = 0
        self.pruned = False

    def look(self) -> None:
        """Tell the trial of new epochs; where it has no hope, put the file that asks the run to end.

        Looked for again each time: a run that starts removes the file that an earlier one left.
        """
        for epoch, value in epochs(self.folder / "metrics.csv", self.metric):
            if epoch > self.reported and not self.pruned:
                self.trial.report(value, epoch)
                self.reported = epoch
                self.pruned = self.trial.should_prune()
        if self.pruned and self.folder.is_dir():
            (self.folder / PRUNE).touch()


def epochs(table: Path, metric: str) -> Iterator[tuple[int, float]]:
    """(epochs trained, value) of the rows of a metrics.csv that have the metric; a last row in the making is left."""
    try:
        text = table.read_text()
    except FileNotFoundError:
        return
    for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        try:
            yield int(float(row["epoch"])) + 1, float(row[metric])
        except (KeyError, TypeError, ValueError):  # an empty cell, no such column, half a row
            continue


class Watcher:
    """Inside, runs are watched by a thread: the same under every launcher, in this process or in others."""

    def __init__(self, runs: Iterable[Progress], seconds: float = SECONDS) -> None:
        self.runs = list(runs)
        self.seconds = seconds
        self.ended = Event()
        self.thread = Thread(target=self.watch, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ended.set()
        self.thread.join()
        for run in self.runs:
            (run.folder / PRUNE).unlink(missing_ok=True)

    def watch(self) -> None:
        """Look at every run, again and again."""
        watched = list(self.runs)
        while not self.ended.wait(self.seconds):
            for run in list(watched):
                try:
                    run.look()
                except Exception as error:  # of the disk, of the storage: without its watcher a run only takes longer
                    watched.remove(run)
                    log.warning("%s is not watched any more, it cannot be pruned: %s", run.folder, one_line(error))
