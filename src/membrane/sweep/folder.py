"""A sweep's folder, and the file in it that lists the sweep's jobs."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from membrane.errors import ConfigError
from membrane.files.durable import opened_folder, write_json
from membrane.runs import provenance
from membrane.runs.folder import RunFolder
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.sweep.jobs import Job, membrane_overrides

TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?")
"""The name of a sweep's folder."""


def create_sweep_folder(typed: Sequence[str], jobs: Sequence[tuple[Job, Config]]) -> Path:
    """Create `<paths.runs>/.sweeps/<time>/` with its jobs.json, and return it.

    There is no jobs.json where a sweeper decides on the jobs later. Raises ConfigError if the folder cannot be created.
    """
    runs = Path(jobs[0][1].paths.runs)
    try:
        require_real_folder(runs / ".sweeps")
        remove_left_multirun(runs / ".sweeps")
        folder = create_timed_folder(runs / ".sweeps")
        if not any(job.typical for job, _ in jobs):
            write_json(folder / "jobs.json", jobs_record(typed, jobs, runs))
    except OSError as error:
        raise ConfigError(f"paths.runs={runs}: {error.filename or runs}: {error.strerror}") from None
    return folder


def refuse_foreign_multirun(overrides: Sequence[str]) -> None:
    """Raise ConfigError if the folder that ``hydra.sweep.dir`` names holds a multirun.yaml: Hydra writes one there."""
    key = "hydra.sweep.dir="
    typed = [line.lstrip("+").removeprefix(key).strip("\"'") for line in overrides if line.lstrip("+").startswith(key)]
    if typed and os.path.lexists(Path(typed[-1], "multirun.yaml")):
        raise ConfigError(f"{key}{typed[-1]} holds a multirun.yaml, which Hydra would write over: name a new folder")


def remove_left_multirun(sweeps: Path) -> None:
    """Remove Hydra's copies of the configuration, where nothing is masked, of sweeps that were killed at the start."""
    for left in sweeps.glob("*/multirun.yaml"):
        if TIMED.fullmatch(left.parent.name) and not left.parent.is_symlink():
            left.unlink(missing_ok=True)


def require_real_folder(folder: Path) -> None:
    """Raise OSError if a folder is a link, or no folder; it may be missing."""
    with suppress(FileNotFoundError), opened_folder(folder):
        pass


def jobs_record(typed: Sequence[str], jobs: Sequence[tuple[Job, Config]], runs: Path) -> dict[str, Any]:
    """Return the content of jobs.json: the command line, and each job's overrides and run folder; secrets masked."""
    return {
        "schema": 1,
        "command": [*provenance.recorded_program(), *map(masked_override, typed)],
        "jobs": [
            {
                "overrides": list(map(masked_override, membrane_overrides(job.overrides))),
                "folder": recorded_run_folder(config, runs),
            }
            for job, config in jobs
        ],
    }


def recorded_run_folder(config: Config, runs: Path) -> str:
    """Return a run's folder relative to ``paths.runs``; as an absolute path where it lies elsewhere."""
    folder, within = RunFolder(config).path.absolute(), runs.resolve()
    return str(folder.relative_to(within) if within in folder.parents else folder)


def create_timed_folder(parent: Path) -> Path:
    """Create a folder named by the time, with a number behind it where that name is taken, and return it."""
    name = datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}.{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not parent.is_dir():
                raise
            continue
        return folder
    raise AssertionError("counting never ends")
