"""Pruning: a thread reads the values that runs write into their folders, and asks hopeless runs to end early."""

import csv
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

from membrane.errors import one_line
from membrane.files.regular import open_regular
from membrane.runs.contents import PRUNE

log = logging.getLogger(__name__)
LONGEST = 1 << 26
"""Characters of a metrics.csv that are read, at most."""
WATCH_INTERVAL = 1.0
"""Seconds between two looks at the runs."""


class PrunableTrial(Protocol):
    """The part of Optuna's trial that pruning needs."""

    def report(self, value: float, step: int) -> None:
        """Take the value after so many epochs."""

    def should_prune(self) -> bool:
        """Return whether the run should end."""


class WatchedRun:
    """A run that may be pruned: its folder, its trial, and the metric that the trial is told."""

    def __init__(self, folder: Path, trial: PrunableTrial, metric: str) -> None:
        self.folder = folder
        self.trial = trial
        self.metric = metric
        self.reported_epochs = 0
        self.pruned = False

    def look(self) -> None:
        """Report new epochs to the trial; if it should be pruned, write the file that asks the run to end.

        That file is written at every look, since a run that starts removes what an earlier run left.
        """
        for epochs, value in values_by_epochs(self.folder / "metrics.csv", self.metric):
            if epochs > self.reported_epochs and not self.pruned:
                self.trial.report(value, epochs)
                self.reported_epochs = epochs
                self.pruned = self.trial.should_prune()
        if self.pruned and self.folder.is_dir():
            os.close(open_regular(self.folder / PRUNE, os.O_WRONLY | os.O_CREAT))


def values_by_epochs(table: Path, metric: str) -> Iterator[tuple[int, float]]:
    """Yield (epochs trained, value) for the rows of a metrics.csv with the metric, without an unfinished last row."""
    try:
        with open(table, encoding="utf-8", opener=open_regular) as file:
            text = file.read(LONGEST)
    except FileNotFoundError:
        return
    for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        try:
            yield int(float(row["epoch"])) + 1, float(row[metric])
        except (KeyError, TypeError, ValueError):  # an empty cell, no such column, half a row
            continue


class Watcher:
    """A context in which a thread watches runs, whatever launcher runs them."""

    def __init__(self, runs: Iterable[WatchedRun], seconds: float = WATCH_INTERVAL) -> None:
        self.runs = list(runs)
        self.seconds = seconds
        self.ended = Event()
        self.thread = Thread(target=self.watch, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ended.set()
        self.thread.join()
        for run in self.runs:
            (run.folder / PRUNE).unlink(missing_ok=True)

    def watch(self) -> None:
        """Look at every run at each interval until the context ends; leave a run alone that cannot be read."""
        watched = list(self.runs)
        while not self.ended.wait(self.seconds):
            for run in list(watched):
                try:
                    run.look()
                except Exception as error:  # of the disk, of the storage: without its watcher a run only takes longer
                    watched.remove(run)
                    log.warning("%s is not watched any more, it cannot be pruned: %s", run.folder, one_line(error))
