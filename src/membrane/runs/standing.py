"""Where one run stands, read from its folder alone. Imports neither torch nor pydantic.

finished: it has a result; running: a living process holds its lock; failed: it said why; stopped: it has a checkpoint,
so that it goes on where it is started again; pruned: it has one and was asked to end; broken off: it has none;
damaged: its result cannot be read; missing: a sweep names it and it never began.
"""

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from membrane.runs.tail import Advance, advance
from membrane.scores import principal_score

TELLING = {"result.json", "FAILED.json", "metrics.csv", "checkpoints"}
EPOCHS = re.compile(rb"^epochs: (\d+)\s*$", re.MULTILINE)
HOLDER = re.compile(r"process (\d+) on (\S+)")
FRAME = re.compile(r'^ *File "(?:.*[/\\])?([^"/\\]+)", line (\d+)', re.MULTILINE)
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a file raises that is not what it should be."""
PATIENCE = 4
"""A run is silent when its last row is older than so many times the longest gap between two of its rows, …"""
SHORTEST = 60.0
"""… and than so many seconds."""


@dataclass
class Run:
    """A run's status and what else its files say, None where they do not. Times in seconds.

    ``changed`` counts from 1970, ``age`` from the last sign of life of a run that is running; ``epoch`` is the one it
    is in, from 1; ``damaged`` says what could not be read.
    """

    folder: str
    status: str = "missing"
    changed: float = 0.0
    epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    left: float | None = None
    age: float | None = None
    silent: bool = False
    process: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    overrides: list[str] | None = None
    damaged: list[str] = field(default_factory=list)

    def name(self) -> str:
        """What comes before a run's fingerprint and seed."""
        return "/".join(self.folder.split("/")[:-2])

    def score(self) -> tuple[str, float] | None:
        """The number that a run is known by: `acc` or `mae` on the test set."""
        found = principal_score(self.metrics)
        return None if found is None else (found[0].removeprefix("test/"), found[1])


def stand(folder: Path, shown: str, overrides: list[str] | None, now: float) -> Run:
    """Where the run in ``folder`` stands at the time ``now``, in seconds since 1970."""
    run = Run(shown, overrides=overrides)
    try:
        inside, started = files(folder), 0.0
        if "result.json" not in inside:
            with noted(run, "lock"):
                place = folder.absolute()  # "." has no name
                run.process, started = holder(place.with_name(f".{place.name}.lock"))
            inside = files(folder)  # again: it may have finished before its lock was looked at
    except OSError as error:
        run.status = "damaged"
        run.damaged.append(reason(error))
        return run
    run.changed = max(inside.values(), default=started)
    if "result.json" in inside:
        finished(run, folder)
        return run
    trained = training(run, folder, inside)
    if run.process is not None:
        running(run, trained, now - max(inside.get("metrics.csv", 0.0), started))
    elif inside:
        ended(run, folder, inside)
    return run


@contextmanager
def noted(run: Run, name: str) -> Iterator[None]:
    """Inside, what cannot be read is named in ``run.damaged`` and left out."""
    try:
        yield
    except UNREADABLE as error:
        run.damaged.append(f"{name}: {reason(error)}")


def reason(error: Exception) -> str:
    """Why a file could not be read."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"damaged ({type(error).__name__}: {error})"


def files(folder: Path) -> dict[str, float]:
    """The names in a folder, and `.`, each with its time of change if it is `TELLING`; nothing where there is none."""
    found: dict[str, float] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        found["."] = folder.stat().st_mtime
        for entry in entries:
            with suppress(FileNotFoundError):  # gone since
                found[entry.name] = entry.stat().st_mtime if entry.name in TELLING else 0.0
    return found


def read(path: Path) -> dict[str, Any]:
    """A JSON object. ValueError where the file holds anything else."""
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def finished(run: Run, folder: Path) -> None:
    """A run with its result."""
    run.status, run.process = "damaged", None
    with noted(run, "result.json"):
        result = read(folder / "result.json")
        run.metrics = {name: float(value) for name, value in result["metrics"].items()}
        run.seconds, run.epoch = float(result["fit_seconds"]), int(result["epochs"])
        run.epochs, run.status = run.epoch, "finished"


def training(run: Run, folder: Path, inside: dict[str, float]) -> Advance | None:
    """How far an unfinished run's training is."""
    trained = None
    if "config.yaml" in inside:
        with noted(run, "config.yaml"):
            # a top-level setting, as the run wrote it: reading all of the YAML takes a thousand times as long
            said = EPOCHS.search((folder / "config.yaml").read_bytes())
            run.epochs = None if said is None else int(said[1])
    if "metrics.csv" in inside:
        with noted(run, "metrics.csv"):
            paced = run.process is not None  # for the others the last row is enough, and a hundred times as fast
            trained = advance(folder / "metrics.csv", paced, 1 << 16 if paced else 1 << 9)
    if trained is not None:
        run.epoch, run.seconds = trained.epoch + 1, trained.seconds
    return trained


def running(run: Run, trained: Advance | None, age: float) -> None:
    """A run that a living process works at, and that gave its last sign of life ``age`` seconds ago."""
    run.status = "running"
    run.age = max(age, 0.0)  # the clock of another machine may be ahead
    run.silent = trained is not None and trained.gap is not None and age > max(PATIENCE * trained.gap, SHORTEST)
    left = None if trained is None or run.epochs is None else trained.left(run.epochs)
    run.left = None if left is None or run.silent else max(left - run.age, 0.0)


def ended(run: Run, folder: Path, inside: dict[str, float]) -> None:
    """A run that nobody works at and that has no result."""
    if "FAILED.json" in inside and inside["FAILED.json"] >= inside.get("checkpoints", 0.0):  # else it went on since
        run.status = "failed"
        with noted(run, "FAILED.json"):
            run.error = failure(read(folder / "FAILED.json"))
    elif "PRUNE" in inside:
        run.status = "pruned"
    else:
        there = any((folder / "checkpoints" / f"{name}.ckpt").is_file() for name in ("last", "previous"))
        run.status = "stopped" if there else "broken off"


def failure(said: dict[str, Any]) -> str:
    """What went wrong, in one line, with its kind and the innermost place of the traceback where these are known."""
    error, traceback = str(said["error"]), str(said.get("traceback", ""))
    error = (error.strip() or "unknown").splitlines()[0]
    with_kind = (line for line in reversed(traceback.splitlines()) if line.endswith(f": {error}") and line[0] != " ")
    frames = FRAME.findall(traceback)
    where = f" ({frames[-1][0]}:{frames[-1][1]})" if frames else ""
    return next(with_kind, error) + where


def holder(lock: Path) -> tuple[str | None, float]:
    """(who holds a lock, since when), or None where no living process does.

    A process of this machine that is gone holds nothing, and its lock is left alone: trying to take it, if only for
    a moment, could refuse it to a run that starts in that moment. Whether another machine's process, or a newer one
    with the same number, holds it is only known by trying.
    """
    try:
        file = lock.open()
    except FileNotFoundError:
        return None, 0.0
    with file:
        said = file.read().strip()
        since = os.fstat(file.fileno()).st_mtime
        named = HOLDER.fullmatch(said)
        gone = named is not None and named[2] == socket.gethostname() and not alive(int(named[1]))
        if not said or gone:
            return None, since
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return said, since
    return None, since


def alive(process: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another person's
        pass
    return True
