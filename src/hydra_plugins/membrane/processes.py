"""`hydra/launcher=processes`: each job of a sweep in a fresh process, so that none can end or slow the others."""

import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from membrane.errors import ConfigError, DataError
from membrane.runs.folder import PRUNE, RunFolder
from membrane.runs.stopping import Stopped
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.scores import principal_score
from membrane.sweep.folder import own
from membrane.sweep.processes import Child, cores, run, settings_of
from membrane.sweep.task import Task, checked, record_failure
from membrane.training.job import skipped

log = logging.getLogger("membrane.sweep.processes")  # what is membrane's goes to the terminal

OF_THE_SWEEP = ("hydra.mode", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra/sweeper", "hydra/launcher")
"""Hydra's settings that a job in it is not given."""
SAVED = 75
"""The exit code of a job that goes on from a checkpoint when it is started again."""
TOLD = (128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL)
"""The exit codes of a job that was told to stop and could not save."""


@dataclass
class Running:
    """A job with a process: its number, what tells it apart, its run, and when that last failed before."""

    name: str
    config: Config
    place: RunFolder
    child: Child
    failed_before: int | None


class ProcessesLauncher(Launcher):
    """Keeps ``n_jobs`` processes running until all jobs have had one; each has ``job_timeout`` to end."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings_of(settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives every launcher."""
        assert isinstance(task_function, Task)
        self.loader, self.task, self.config = hydra_context.config_loader, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; each returns its result, or None where there is none. Stopped where the sweep was stopped."""
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "multirun.yaml").unlink(missing_ok=True)  # Hydra's copy of the configuration: nothing is masked
        total, returned = initial_job_idx + len(job_overrides), list[JobReturn]()
        waiting, owed = dict[Path, Running](), list[tuple[JobReturn, RunFolder]]()
        for number, (said, apart) in enumerate(told_apart(job_overrides), initial_job_idx + 1):
            returned.append(JobReturn(overrides=said, status=JobStatus.COMPLETED))
            job = self.prepared(f"{number}/{total} {apart}", returned[-1], folder / f"{number}.log")
            if job is None:
                continue
            owed.append((returned[-1], job.place))
            if waiting.setdefault(job.place.path, job) is not job:
                log.info("%s: the same run as %s", job.name, waiting[job.place.path].name)
        self.run(list(waiting.values()), len(job_overrides))
        for each, place in owed:
            with suppress(DataError):
                each.return_value = place.result()
        return returned

    def prepared(self, name: str, returned: JobReturn, output: Path) -> Running | None:
        """A job and the process that it will have; None where it needs none: it is finished, or cannot run."""
        assert returned.overrides is not None
        try:
            returned.cfg, config = self.composed(returned.overrides)
            place = RunFolder(config)
            if skipped(config, place):
                self.task.tally.finished += 1
                returned.return_value = place.result()
                return None
        except (ConfigError, DataError) as error:
            self.task.tally.failed += 1
            log.error("%s: refused: %s", name, error)
            return None
        child = Child(self.arguments(returned.overrides), output, self.settings.timeout())
        return Running(name, config, place, child, when_failed(place))

    def composed(self, said: Sequence[str]) -> tuple[DictConfig, Config]:
        """A job's configuration, as composed and as checked. ConfigError where it cannot run."""
        known = self.task.known.get(own(said))
        if known is not None:
            return known
        composed = self.loader.load_sweep_config(self.config, list(said))
        OmegaConf.set_struct(composed, False)
        del composed["hydra"]
        return composed, checked(composed, said)

    def arguments(self, said: Sequence[str]) -> list[str]:
        """The command line of a job: what the sweep was given and what is the job's own."""
        given = self.config.hydra.overrides.hydra
        ours = [line for line in given if not belongs(line.lstrip("+~").partition("=")[0], OF_THE_SWEEP)]
        folder = [f"--config-dir={self.task.config_dir}"] if self.task.config_dir is not None else []
        # a file such as sweep=seeds, chosen in the job too, would make a sweep of it
        return [*folder, *ours, *said, "trainer.progress=false", "hydra.mode=RUN"]

    def run(self, jobs: Sequence[Running], of: int) -> None:
        """Run the jobs that need a process, so many of all."""
        if not jobs:
            return
        stop, threads = self.task.stop, max(job.config.threads for job in jobs)
        at_once = min(self.settings.at_once(threads), len(jobs))
        output = jobs[0].child.log.parent
        log.info(
            "%d of %d jobs to run, %d at once (hydra.launcher.n_jobs); what they print: %s",
            len(jobs),
            of,
            at_once,
            output,
        )
        if at_once * threads > cores():
            log.warning("n_jobs=%d × threads=%d on %d cores: they slow each other down", at_once, threads, cores())
        by_child = {id(job.child): job for job in jobs}
        with stop.deferred():
            run([job.child for job in jobs], at_once, stop, lambda child: self.ended(by_child[id(child)]))
        if stop.signum is not None:
            self.task.tally.tell()
            # what had no checkpoint yet has lost nothing: only what did not save in time has
            lost = any(job.child.code == -signal.SIGKILL for job in jobs)
            kept = self.task.tally.finished > 0 or any(
                job.child.code == SAVED or job.place.has_checkpoint() for job in jobs
            )
            raise Stopped(signal.Signals(stop.signum).name, 128 + stop.signum, saved=kept and not lost)

    def ended(self, job: Running) -> None:
        """Count a job that has ended; one line says how, and where it failed its folder does too."""
        tally, code = self.task.tally, job.child.code
        result = None
        with suppress(DataError):
            result = job.place.result()
        if code == 0 and (result is not None or job.place.debug):
            tally.finished += 1
            log.info("%s: finished%s: %s", job.name, scored(result), job.place.path)
        elif code == 0 and (job.place.path / PRUNE).exists():
            tally.pruned += 1
            log.info("%s: pruned: %s", job.name, job.place.path)
        elif code == SAVED and not job.child.timed_out:
            tally.stopped += 1
            log.info("%s: stopped with a checkpoint: %s", job.name, job.place.path)
        elif code in TOLD and self.task.stop.signum is not None:
            tally.stopped += 1
            how = "without a new checkpoint" if job.place.has_checkpoint() else "before its first checkpoint"
            log.info("%s: stopped %s: %s", job.name, how, job.place.path)
        else:
            tally.failed += 1
            log.error("%s: failed: %s; see %s", job.name, why(job), job.child.log)


def told_apart(job_overrides: Sequence[Sequence[str]]) -> list[tuple[list[str], str]]:
    """Each job's overrides, and as text those that not all jobs have (all, where that is none); secrets masked."""
    common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
    told = []
    for said in job_overrides:
        apart = [line for line in said if line not in common] or said
        told.append((list(said), " ".join(masked_override(line.lstrip("+")) for line in apart)))
    return told


def belongs(key: str, places: Sequence[str]) -> bool:
    """Whether a key is one of these places or below one."""
    return any(key == place or key.startswith(f"{place}.") for place in places)


def scored(result: dict[str, Any] | None) -> str:
    """What a finished run scored on the test set."""
    found = principal_score(result["metrics"]) if result else None
    return "" if found is None else f", {found[0]} {found[1]:.4f}"


def when_failed(place: RunFolder) -> int | None:
    """When the run's FAILED.json was written, in nanoseconds; None where there is none."""
    try:
        return (place.path / "FAILED.json").stat().st_mtime_ns
    except OSError:
        return None


def why(job: Running) -> str:
    """Why a job failed: what the run says, or what its last line says, or how its process ended.

    A job that left no FAILED.json gets one; one whose configuration was refused (exit code 2) has no folder.
    """
    child, written = job.child, when_failed(job.place)
    if written is not None and written != job.failed_before:
        with suppress(DataError):
            return str((job.place.read("FAILED.json") or {}).get("error"))
    lines = [line for line in child.tail().splitlines() if line.strip()]
    spoke = child.code in (1, 2) and not child.timed_out and lines
    error = lines[-1].removeprefix("membrane: ") if spoke else child.how()
    if child.code != 2:
        record_failure(job.place, error, child.tail())
    return error
