"""All runs of a folder, found by what lies in there and by what its sweeps were to run."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from membrane.runs.standing import UNREADABLE, Run, read, reason, stand

MARKS = {"result.json", "FAILED.json", "provenance.json"}
"""A folder with one of these files is a run."""
ASIDE = re.compile(r"seed\d+\.\d+")


@dataclass
class Survey:
    """All runs of a folder, and what there could not be read."""

    runs: list[Run]
    unread: list[str]

    def of(self, *statuses: str) -> list[Run]:
        """The runs that have one of these statuses."""
        return [run for run in self.runs if run.status in statuses]

    def left(self) -> float | None:
        """Seconds until what runs and what is missing is done, if as many run as now; None where that is unknown.

        A run of which nothing is known yet is taken to be as long as the median of the others.
        """
        running, finished = self.of("running"), self.of("finished")
        known = [run for run in running if run.left is not None]
        lengths = [run.seconds or 0.0 for run in finished] + [(run.seconds or 0.0) + (run.left or 0.0) for run in known]
        unknown = len(running) - len(known) + len(self.of("missing"))
        if not running or (unknown and not lengths):
            return None
        lefts = [run.left or 0.0 for run in known]
        work = sum(lefts) + (unknown * median(lengths) if unknown else 0.0)
        return max(work / len(running), *lefts, 0.0)


def survey(runs: Path, now: float) -> Survey:
    """Every run below a folder and every one that its sweeps name, at the time ``now`` in seconds since 1970.

    Newest first; runs of one name stand together.
    """
    unread: list[str] = []
    places: dict[Path, list[str] | None] = dict.fromkeys(run_folders(runs, unread))
    places |= dict(sweep_jobs(runs, unread))  # a folder that several sweeps name is the last one's
    found = [stand(folder, str(folder).removeprefix(f"{runs}/"), said, now) for folder, said in places.items()]
    newest: dict[str, float] = {}
    for run in found:
        newest[run.name()] = max(newest.get(run.name(), 0.0), run.changed)
    found.sort(key=lambda run: (-newest[run.name()], run.name(), -run.changed, run.folder))
    return Survey(found, unread)


def run_folders(root: Path, unread: list[str]) -> Iterator[Path]:
    """Every run at or below a folder; neither hidden folders, such as debug runs', nor runs that were moved aside."""
    seen: set[tuple[int, int]] = set()
    waiting = [str(root)]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116 a Path for each folder is what would take longest
            if (status.st_dev, status.st_ino) in seen:  # a link has led here before
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = {entry.name: entry.is_dir() for entry in entries}
        except FileNotFoundError:  # moved or removed since its name was read
            continue
        except OSError as error:
            unread.append(f"{folder}: {reason(error)}")
            continue
        if MARKS & inside.keys():
            yield Path(folder)
            continue
        below = [name for name, is_folder in inside.items() if is_folder and not name.startswith(".")]
        waiting += [f"{folder}/{name}" for name in below if "." not in name or not aside(Path(folder, name), inside)]


def aside(folder: Path, beside: dict[str, bool]) -> bool:
    """Whether a folder is an earlier run of one beside it, as `seed0.1` is of `seed0` and `mine.1` may be of `mine`."""
    if ASIDE.fullmatch(folder.name):
        return True
    stem, _, number = folder.name.rpartition(".")
    if not (number.isdigit() and beside.get(stem)):
        return False
    earlier = identity(folder)
    return earlier is not None and earlier == identity(folder.with_name(stem))


def identity(folder: Path) -> tuple[Any, Any] | None:
    """The fingerprint and seed that a folder says it is of."""
    try:
        said = read(folder / "provenance.json")
    except (OSError, ValueError):
        return None
    return said.get("fingerprint"), said.get("seed")


def sweep_jobs(runs: Path, unread: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """(folder, overrides) of every job of every sweep, the earliest sweep first; debug runs are left out."""
    base = runs.absolute()
    for file in sorted((runs / ".sweeps").glob("*/jobs.json")):
        try:
            jobs = [(Path(job["folder"]), [str(each) for each in job["overrides"]]) for job in read(file)["jobs"]]
        except UNREADABLE as error:
            unread.append(f"{file}: {reason(error)}")
            continue
        for folder, overrides in jobs:
            if folder.is_absolute() and base in folder.parents:
                yield runs / folder.relative_to(base), overrides
            elif folder.parts[:1] != (".debug",):
                yield runs / folder, overrides
