"""Where one run stands, read from its folder alone. Imports neither torch nor pydantic.

finished: it has a result; running: a living process holds its lock; failed: it said why; stopped: it has a checkpoint,
so that it goes on where it is started again; pruned: it has one and was asked to end; broken off: it has none;
damaged: its result cannot be read; missing: a sweep names it and it never began.
"""

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from membrane.files.capped import TEXT_BYTES, read_capped
from membrane.files.regular import open_regular
from membrane.runs.location import lock_path
from membrane.runs.saved import CONFIG, PROVENANCE, RESULT, read_json, why_unreadable
from membrane.runs.tail import Advance, read_advance
from membrane.scores import principal_score

OF_A_SWEEP = ("-m", "--multirun", "sweep=", "hydra.mode=MULTIRUN")
"""Words that make a command line one of several runs: what it says holds for none of them alone."""
TELLING = {RESULT, "FAILED.json", "metrics.csv", "checkpoints"}
"""The names in a run's folder whose time of change matters."""
EPOCHS = re.compile(rb"^epochs: (\d{1,12})\s*$", re.MULTILINE)
HOLDER = re.compile(r"process (\d+) on (\S+)")
LONGEST_HOLDER = 1000
"""Characters in a lock, at most."""
FRAME = re.compile(r'^ *File "(?:.*[/\\])?([^"/\\]+)", line (\d+)', re.MULTILINE)
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""Errors of reading a file whose content is not as expected."""
PATIENCE = 4
"""A run whose last row is older than so many times the longest gap between two of its rows may be silent …"""
SHORTEST = 60.0
"""… and than so many seconds."""


@dataclass
class Run:
    """A run's status and what else its files say, None where they do not. Times in seconds.

    ``folder`` is its path as it is shown, ``status`` one of the eight above, ``changed`` the time of its last change,
    since 1970. ``completed`` of ``epochs`` epochs took ``seconds``; ``left`` is what the others will take. A running
    run gave its last sign of life ``age`` seconds ago; it is ``silent`` if that is too long, and ``process`` says
    who runs it. ``metrics`` are a finished run's, ``ended`` says what ended it before its last epoch, ``error`` is a
    failed one's, ``overrides`` are what it was started with, and ``damaged`` says which of its files could not be
    read, and why.
    """

    folder: str
    status: str = "missing"
    changed: float = 0.0
    completed: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    left: float | None = None
    age: float | None = None
    silent: bool = False
    process: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    ended: str | None = None
    error: str | None = None
    overrides: list[str] | None = None
    damaged: list[str] = field(default_factory=list)

    def name(self) -> str:
        """Return the part of its folder before its fingerprint and seed."""
        return "/".join(self.folder.split("/")[:-2])

    def score(self) -> tuple[str, float] | None:
        """Return `acc` or `mae` on the test set, with its name, or None if the run has neither."""
        principal = principal_score(self.metrics)
        return None if principal is None else (principal[0].removeprefix("test/"), principal[1])


def inspect_run(folder: Path, shown: str, overrides: list[str] | None, now: float) -> Run:
    """Return where the run in ``folder``, ``shown`` as so, stands at the time ``now``, in seconds since 1970."""
    run = Run(shown, overrides=overrides)
    try:
        fill_run(run, folder, now)
    except UNREADABLE as error:  # one folder, whatever lies in it, hides no other
        run.status = "damaged"
        run.damaged.append(why_unreadable(error))
    return run


def fill_run(run: Run, folder: Path, now: float) -> None:
    """Fill in what a run's folder says. Raises OSError if it cannot be read."""
    changes, started = times_of_change(folder), 0.0
    if RESULT not in changes:
        with damage_noted(run, "lock"):
            run.process, started = lock_holder(lock_path(folder))
        changes = times_of_change(folder)  # again: it may have finished before its lock was looked at
    if run.overrides is None and PROVENANCE in changes:
        run.overrides = typed_overrides(folder)
    run.changed = max(changes.values(), default=started)
    if RESULT in changes:
        fill_finished(run, folder)
        return
    advance = fill_training(run, folder, changes)
    if run.process is not None:
        fill_running(run, advance, now - max(changes.get("metrics.csv", 0.0), started))
    elif changes:
        fill_ended(run, folder, changes)


def typed_overrides(folder: Path) -> list[str] | None:
    """Return the settings that a single run was started with; None for a sweep's job, or if nothing says them."""
    with suppress(*UNREADABLE):
        words = [str(word).removeprefix("++") for word in read_json(folder / PROVENANCE)["command"]]
        if not any(word.startswith(OF_A_SWEEP) for word in words):
            return [word for word in words if "=" in word and not word.startswith(("-", "hydra."))]
    return None


@contextmanager
def damage_noted(run: Run, name: str) -> Iterator[None]:
    """Name what cannot be read inside in ``run.damaged``, and leave it out."""
    try:
        yield
    except UNREADABLE as error:
        run.damaged.append(f"{name}: {why_unreadable(error)}")


def times_of_change(folder: Path) -> dict[str, float]:
    """Return the names in a folder, and `.`, with the time of change of those in `TELLING`, 0 for the others.

    Empty where there is no folder.
    """
    times: dict[str, float] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        times["."] = folder.stat().st_mtime
        for entry in entries:
            with suppress(FileNotFoundError):  # gone since
                times[entry.name] = entry.stat(follow_symlinks=False).st_mtime if entry.name in TELLING else 0.0
    return times


def fill_finished(run: Run, folder: Path) -> None:
    """Fill in what a finished run's result says, or that it is damaged."""
    run.status, run.process = "damaged", None
    with damage_noted(run, RESULT):
        result = read_json(folder / RESULT)
        run.metrics = {name: float(value) for name, value in result["metrics"].items()}
        run.seconds, run.completed = float(result["fit_seconds"]), int(result["epochs"])
        run.ended = str(result["ended"]) if "ended" in result else None
        run.epochs, run.status = run.completed, "finished"


def fill_training(run: Run, folder: Path, changes: dict[str, float]) -> Advance | None:
    """Fill in how far an unfinished run's training is, and return it, None before its first row."""
    advance = None
    if CONFIG in changes:
        with damage_noted(run, CONFIG):
            # a top-level setting, as the run wrote it: reading all of the YAML takes a thousand times as long
            epochs = EPOCHS.search(read_capped(folder / CONFIG, TEXT_BYTES))
            run.epochs = None if epochs is None else int(epochs[1])
    if "metrics.csv" in changes:
        with damage_noted(run, "metrics.csv"):
            paced = run.process is not None  # for the others the last row is enough, and a hundred times as fast
            advance = read_advance(folder / "metrics.csv", paced, 1 << 16 if paced else 1 << 9)
    if advance is not None:
        run.completed, run.seconds = advance.completed, advance.seconds
    return advance


def fill_running(run: Run, advance: Advance | None, age: float) -> None:
    """Fill in a run that a living process works at, and that gave its last sign of life ``age`` seconds ago."""
    run.status = "running"
    run.age = max(age, 0.0)  # the clock of another machine may be ahead
    run.silent = advance is not None and advance.gap is not None and age > max(PATIENCE * advance.gap, SHORTEST)
    left = None if advance is None or run.epochs is None else advance.left(run.epochs)
    run.left = None if left is None or run.silent else max(left - run.age, 0.0)


def fill_ended(run: Run, folder: Path, changes: dict[str, float]) -> None:
    """Fill in how a run that no process works at ended without a result."""
    if "FAILED.json" in changes and changes["FAILED.json"] >= changes.get("checkpoints", 0.0):  # else it went on since
        run.status = "failed"
        with damage_noted(run, "FAILED.json"):
            run.error = failure_line(read_json(folder / "FAILED.json"))
    elif "PRUNE" in changes:
        run.status = "pruned"
    else:
        has_checkpoint = any((folder / "checkpoints" / f"{name}.ckpt").is_file() for name in ("last", "previous"))
        run.status = "stopped" if has_checkpoint else "broken off"


def failure_line(failed: dict[str, Any]) -> str:
    """Return the error of a FAILED.json in one line, with its class and the innermost place of the traceback."""
    error, lines = str(failed["error"]), failed.get("traceback", [])
    lines = [str(line) for line in lines] if isinstance(lines, list) else str(lines).splitlines()  # one text, once
    error = (error.strip() or "unknown").splitlines()[0]
    with_class = (line for line in reversed(lines) if line.endswith(f": {error}") and line[0] != " ")
    frames = FRAME.findall("\n".join(lines))
    where = f" ({frames[-1][0]}:{frames[-1][1]})" if frames else ""
    return next(with_class, error) + where


def lock_holder(lock: Path) -> tuple[str | None, float]:
    """Return who holds a lock, None if no living process does, and since when.

    A process of this machine that is gone holds nothing, and its lock is left alone: trying to take it, if only for
    a moment, could refuse it to a run that starts in that moment. Whether another machine's process, or a newer one
    with the same number, holds it is only known by trying.
    """
    try:
        file = open(lock, encoding="utf-8", errors="replace", opener=open_regular)  # noqa: SIM115 closed below
    except FileNotFoundError:
        return None, 0.0
    with file:
        holder = file.read(LONGEST_HOLDER).strip()
        since = os.fstat(file.fileno()).st_mtime
        process = HOLDER.fullmatch(holder)
        gone = process is not None and process[2] == socket.gethostname() and not is_alive(int(process[1]))
        if not holder or gone:
            return None, since
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return holder, since
    return None, since


def is_alive(process: int) -> bool:
    """Return whether this machine has a process of that number."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another person's
        pass
    return True
