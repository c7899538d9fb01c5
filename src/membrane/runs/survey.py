"""All runs of a folder, found by what lies in there and by what its sweeps were to run."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from membrane.files.presence import is_folder
from membrane.runs.saved import RESULT, read_json, why_unreadable
from membrane.runs.standing import UNREADABLE, Run, inspect_run

MARKS = {RESULT, "FAILED.json", "provenance.json"}
"""A folder with one of these files is a run."""
ASIDE = re.compile(r"seed\d+\.\d+")


@dataclass
class Survey:
    """All runs of a folder, and what there could not be read."""

    runs: list[Run]
    unread: list[str]

    def of(self, *statuses: str) -> list[Run]:
        """Return the runs that have one of these statuses."""
        return [run for run in self.runs if run.status in statuses]

    def left(self) -> float | None:
        """Return the seconds until what runs and what is missing is done, if as many run as now; None if unknown.

        A run of which nothing is known yet is taken to be as long as the median of the others.
        """
        running, finished = self.of("running"), self.of("finished")
        timed = [run for run in running if run.left is not None]
        lengths = [run.seconds or 0.0 for run in finished] + [(run.seconds or 0.0) + (run.left or 0.0) for run in timed]
        untimed = len(running) - len(timed) + len(self.of("missing"))
        if not running or (untimed and not lengths):
            return None
        lefts = [run.left or 0.0 for run in timed]
        work = sum(lefts) + (untimed * median(lengths) if untimed else 0.0)
        return max(work / len(running), *lefts, 0.0)


def survey(root: Path, now: float) -> Survey:
    """Return every run below a folder and every one that its sweeps name, at ``now``, in seconds since 1970.

    Newest first; runs of one name stand together.
    """
    unread: list[str] = []
    folders: dict[Path, list[str] | None] = dict.fromkeys(run_folders(root, unread))
    folders |= dict(recorded_jobs(root, unread))  # a folder that several sweeps name is the last one's
    runs = [
        inspect_run(folder, str(folder).removeprefix(f"{root}/"), overrides, now)
        for folder, overrides in folders.items()
    ]
    newest: dict[str, float] = {}
    for run in runs:
        newest[run.name()] = max(newest.get(run.name(), 0.0), run.changed)
    runs.sort(key=lambda run: (-newest[run.name()], run.name(), -run.changed, run.folder))
    return Survey(runs, unread)


def run_folders(root: Path, unread: list[str]) -> Iterator[Path]:
    """Yield every run at or below a folder, but for hidden folders, such as debug runs', and runs moved aside."""
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
                inside = {entry.name: is_folder(entry) for entry in entries}
        except FileNotFoundError:  # moved or removed since its name was read
            continue
        except OSError as error:
            unread.append(f"{folder}: {why_unreadable(error)}")
            continue
        if MARKS & inside.keys():
            yield Path(folder)
            continue
        below = [name for name, is_below in inside.items() if is_below and not name.startswith(".")]
        waiting += [
            f"{folder}/{name}" for name in below if "." not in name or not is_moved_aside(Path(folder, name), inside)
        ]


def is_moved_aside(folder: Path, beside: dict[str, bool]) -> bool:
    """Return whether a folder is an earlier run of one ``beside`` it, as `seed0.1` of `seed0`, `mine.1` of `mine`."""
    if ASIDE.fullmatch(folder.name):
        return True
    stem, _, number = folder.name.rpartition(".")
    if not (number.isdigit() and beside.get(stem)):
        return False
    earlier = recorded_identity(folder)
    return earlier is not None and earlier == recorded_identity(folder.with_name(stem))


def recorded_identity(folder: Path) -> tuple[Any, Any] | None:
    """Return the fingerprint and seed in a folder's provenance.json, or None if it cannot be read."""
    try:
        provenance = read_json(folder / "provenance.json")
    except (OSError, ValueError):
        return None
    return provenance.get("fingerprint"), provenance.get("seed")


def recorded_jobs(root: Path, unread: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """Yield (folder, overrides) of every job of every sweep, the earliest sweep first, but for debug runs."""
    base = root.resolve()
    for file in sorted((root / ".sweeps").glob("*/jobs.json")):
        try:
            jobs = [(Path(job["folder"]), [str(each) for each in job["overrides"]]) for job in read_json(file)["jobs"]]
        except UNREADABLE as error:
            unread.append(f"{file}: {why_unreadable(error)}")
            continue
        for folder, overrides in jobs:
            if folder.is_absolute() and base in folder.parents:
                yield root / folder.relative_to(base), overrides
            elif folder.parts[:1] != (".debug",):
                yield root / folder, overrides
