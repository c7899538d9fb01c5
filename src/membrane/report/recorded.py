"""The runs that a report is about, each read from its folder, and the runs among them that have no result."""

import csv
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from membrane.errors import ConfigError
from membrane.files.regular import open_regular
from membrane.report.settings import read_settings, result_settings
from membrane.runs.saved import PROVENANCE, RESULT, are_metrics, read_json, why_unreadable
from membrane.runs.standing import UNREADABLE, Run
from membrane.runs.survey import survey

EVALUATIONS = "evaluations"


@dataclass(frozen=True)
class Recorded:
    """A run as its folder tells of it.

    Arguments:
        folder: its folder.
        standing: whether it is finished, and what else `membrane status` shows.
        fingerprint: the same of all seeds.
        seed: None if nothing tells it.
        settings: those that shape the result, flat, by dotted name.
        result: result.json; empty if the run is not finished.
        provenance: provenance.json; empty if there is none.
        evaluation: the overrides of a later measurement of the run, if the result is one.
    """

    folder: Path
    standing: Run
    fingerprint: str
    seed: int | None
    settings: Mapping[str, Any]
    result: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    evaluation: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """Return its scores by name; empty of a run that is not finished."""
        return {name: float(value) for name, value in self.result.get("metrics", {}).items()}


@dataclass
class Gathered:
    """All runs of the folders that were named, and lines on what could not be read there."""

    runs: list[Recorded]
    unread: list[str]


def gather_runs(folders: Iterable[Path], evaluations: bool = False) -> Gathered:
    """Read every run at or below some folders, each once; with ``evaluations`` their later measurements beside them.

    Raises ConfigError for a folder that is not there, or if none of them holds a run.
    """
    gathered, seen = Gathered([], []), set()
    named = list(folders)
    known: dict[str, dict[str, Any]] = {}
    for root in named:
        if not root.is_dir():
            raise ConfigError(f"{root}: no such folder; name one that holds runs")
        current = survey(root, time.time())
        gathered.unread += current.unread
        # settings are those of a finished run where there is one: how another began need not be how it goes on
        for standing in sorted(current.runs, key=lambda run: run.status != "finished"):
            folder = root if standing.folder == str(root) else root / standing.folder
            if (real := folder.resolve()) in seen:
                continue
            seen.add(real)
            gathered.runs += read_run(folder, standing, known, gathered.unread, evaluations)
    if not gathered.runs:
        raise ConfigError(f"no runs in {', '.join(map(str, named))}")
    return gathered


def read_run(
    folder: Path, standing: Run, known: dict[str, dict[str, Any]], unread: list[str], evaluations: bool
) -> list[Recorded]:
    """Return a run and, if asked for, its evaluations; what cannot be read of it is added to ``unread``.

    ``known`` keeps settings by fingerprint: reading YAML takes longer than everything else.
    """
    provenance = noted(folder / PROVENANCE, unread)
    result = noted(folder / RESULT, unread) if standing.status == "finished" else {}
    fingerprint = str(result.get("fingerprint") or provenance.get("fingerprint") or folder.absolute().parent.name)
    if fingerprint not in known:
        known[fingerprint] = read_settings(folder, unread) or result_settings(result)
    seed = seed_of(result.get("seed", provenance.get("seed")), folder)
    run = Recorded(folder, standing, fingerprint, seed, known[fingerprint], result, provenance)
    return [run, *(read_evaluations(run, unread) if evaluations and result else ())]


def seed_of(recorded: Any, folder: Path) -> int | None:
    """Return a recorded seed; else that of a folder's name, ``seed3``; else None."""
    if isinstance(recorded, int):
        return recorded
    digits = folder.name.removeprefix("seed")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def noted(path: Path, unread: list[str]) -> dict[str, Any]:
    """Return a JSON file's content, empty if it is missing, or damaged, which is then noted."""
    try:
        return read_json(path)
    except FileNotFoundError:
        return {}
    except UNREADABLE as error:
        unread.append(f"{path}: {why_unreadable(error)}")
        return {}


def read_evaluations(run: Recorded, unread: list[str]) -> list[Recorded]:
    """Return a finished run's later measurements under other settings, each as a run of its own."""
    measured = []
    for path in sorted((run.folder / EVALUATIONS).glob("*.json")):
        content = noted(path, unread)
        if not are_metrics(content.get("metrics")) or not content.get("finished"):
            continue
        changes = content.get("overrides")
        named = " ".join(map(str, changes)) if isinstance(changes, list) else ""
        overrides = named or f"checkpoint={content.get('checkpoint')}"
        result = {**run.result, "metrics": content["metrics"]}
        settings = {**run.settings, "evaluated": overrides}
        fingerprint = f"{run.fingerprint}/{path.stem}"
        measured.append(
            Recorded(run.folder, run.standing, fingerprint, run.seed, settings, result, run.provenance, overrides)
        )
    return measured


def tested_rates(run: Recorded) -> dict[str, float]:
    """Return layer → firing rate in the epoch of the tested checkpoint, from metrics.csv; empty where there is none."""
    best = run.result.get("best")
    epoch = best.get("epoch") if isinstance(best, dict) else None
    rates: dict[str, float] = {}
    try:
        with open(run.folder / "metrics.csv", encoding="utf-8", newline="", opener=open_regular) as file:
            rows = csv.reader(file)
            columns = {i: name.removeprefix("rate/") for i, name in enumerate(next(rows, [])) if name[:5] == "rate/"}
            last = max(columns, default=0)
            for row in rows:
                if columns and len(row) > last and row[last] and (epoch is None or row[0] == str(epoch)):
                    rates = {name: float(row[i]) for i, name in columns.items() if row[i]}
    except (*UNREADABLE, csv.Error):
        return {}
    return rates
