"""A sweep: the folder that says what its jobs are, and the count of how they ended."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from membrane.errors import ConfigError
from membrane.files.durable import write_json
from membrane.runs.folder import RunFolder
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.sweep.jobs import Job

log = logging.getLogger(__name__)


def begin(typed: Sequence[str], jobs: Sequence[tuple[Job, Config]]) -> Path:
    """A new folder `<paths.runs>/.sweeps/<time>/`; `jobs.json` in it names every job and its run's folder.

    A run's folder is given relative to ``paths.runs``, and as an absolute path where it was said outright. Where a
    sweeper decides on the jobs later there is no `jobs.json`. ConfigError where the folder cannot be made.
    """
    runs = Path(jobs[0][1].paths.runs)
    try:
        folder = claimed(runs / ".sweeps")
        if not any(job.typical for job, _ in jobs):
            content = {
                "schema": 1,
                "command": [Path(sys.argv[0]).name, *map(masked_override, typed)],
                "jobs": [
                    {"overrides": list(map(masked_override, own(job.overrides))), "folder": place(config, runs)}
                    for job, config in jobs
                ],
            }
            write_json(folder / "jobs.json", content)
    except OSError as error:
        raise ConfigError(f"paths.runs={runs}: {error.filename or runs}: {error.strerror}") from None
    return folder


def own(overrides: Sequence[str]) -> tuple[str, ...]:
    """A job's overrides, to know it by: without Hydra's, and without the ``++`` of a setting that no file says."""
    lines = [line.removeprefix("++") for line in overrides]
    return tuple(line for line in lines if not line.lstrip("+~").startswith(("hydra.", "hydra/")))


def claimed(sweeps: Path) -> Path:
    """A new folder, named by the time; a number follows where another sweep began in the same second."""
    name = datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    for n in count(1):
        folder = sweeps / (name if n == 1 else f"{name}.{n}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not sweeps.is_dir():
                raise
            continue
        return folder
    raise AssertionError("counting never ends")


def place(config: Config, runs: Path) -> str:
    """Where a job's run will lie."""
    folder = RunFolder(config)
    return str(folder.path.absolute()) if folder.named_outright else os.path.relpath(folder.path, runs)


@dataclass
class Tally:
    """How many jobs ended how; ``stopped``: with a checkpoint from which they go on."""

    finished: int = 0
    failed: int = 0
    pruned: int = 0
    stopped: int = 0

    def log_counts(self) -> None:
        """One line."""
        rare = [f", {number} {name}" for name, number in (("pruned", self.pruned), ("stopped", self.stopped)) if number]
        log.info("sweep: %d finished, %d failed%s", self.finished, self.failed, "".join(rare))

    def code(self) -> int:
        """The exit code of all jobs."""
        return 1 if self.failed else 75 if self.stopped else 0
