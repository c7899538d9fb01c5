"""The launcher of a sweep's jobs in processes of their own: `hydra/launcher=processes`."""

import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from membrane.config.composer import without_hydra
from membrane.errors import RESUMABLE, ConfigError, DataError, Stopped
from membrane.files.lock import HELD
from membrane.runs.contents import PRUNE
from membrane.runs.folder import RunFolder
from membrane.runs.preparation import finished_already
from membrane.runs.visibility import printable
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.scores import principal_score
from membrane.sweep.jobs import membrane_overrides
from membrane.sweep.processes import ChildProcess, LauncherSettings, available_cores, run_children
from membrane.sweep.task import Task, failure_time, record_failure, runnable_config

log = logging.getLogger(__name__)

SWEEP_SETTINGS = ("hydra.mode", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra/sweeper", "hydra/launcher")
"""Hydra's settings that a sweep does not pass on to its jobs."""
KILLED_BY_STOP = (128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL)
"""The exit codes of a job that was told to stop and could not save."""


@dataclass
class ProcessJob:
    """A job that needs a process. ``failed_before`` is the time of its run's last failure before this job."""

    name: str
    config: Config
    folder: RunFolder
    child: ChildProcess
    failed_before: int | None


class JobsInProcesses:
    """Runs jobs in processes, ``n_jobs`` at once, each for ``job_timeout`` at most.

    ``master`` is the configuration of the whole sweep, with Hydra's node.
    """

    def __init__(self, settings: LauncherSettings, loader: ConfigLoader, task: Task, master: DictConfig) -> None:
        self.settings = settings
        self.loader = loader
        self.task = task
        self.master = master

    def launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run jobs, numbered on from ``first``, and return for each its result, or None if it has none.

        Jobs with the same run folder share one process. Raises Stopped if the sweep was stopped.
        """
        output = Path(self.master.hydra.sweep.dir)
        output.mkdir(parents=True, exist_ok=True)
        (output / "multirun.yaml").unlink(missing_ok=True)  # Hydra's copy of the configuration: nothing is masked
        total, returned = first + len(job_overrides), list[JobReturn]()
        waiting, unfinished = dict[Path, ProcessJob](), list[tuple[JobReturn, RunFolder]]()
        for number, (overrides, title) in enumerate(with_titles(job_overrides), first + 1):
            returned.append(JobReturn(overrides=overrides, status=JobStatus.COMPLETED))
            job = self.prepare(f"{number}/{total} {title}", returned[-1], output / f"{number}.log")
            if job is None:
                continue
            unfinished.append((returned[-1], job.folder))
            if waiting.setdefault(job.folder.path, job) is not job:
                log.info("%s: the same run as %s", job.name, waiting[job.folder.path].name)
        self.run(list(waiting.values()), len(job_overrides))
        for job_return, folder in unfinished:
            with suppress(DataError):
                job_return.return_value = folder.result()
        return returned

    def prepare(self, name: str, job_return: JobReturn, output: Path) -> ProcessJob | None:
        """Return the job for a process, or None if its run is finished already or cannot run."""
        assert job_return.overrides is not None
        try:
            job_return.cfg, config = self.compose(job_return.overrides)
            folder = RunFolder(config)
            if finished_already(config, folder):
                self.task.tally.finished_before += 1
                job_return.return_value = folder.result()
                return None
        except (ConfigError, DataError) as error:
            self.task.tally.failed += 1
            log.error("%s: refused: %s", name, error)
            return None
        child = ChildProcess(self.arguments(job_return.overrides), output, self.settings.timeout_seconds())
        return ProcessJob(name, config, folder, child, failure_time(folder))

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        """Return a job's configuration as composed and as checked. Raises ConfigError if it cannot run."""
        checked_job = self.task.checked_jobs.get(membrane_overrides(overrides))
        if checked_job is not None:
            return checked_job
        composed = without_hydra(self.loader.load_sweep_config(self.master, list(overrides)))
        return composed, runnable_config(composed, overrides)

    def arguments(self, overrides: Sequence[str]) -> list[str]:
        """Return the command line of a job: its overrides, and Hydra's of the sweep that apply to a single run too."""
        hydra = [
            line
            for line in self.master.hydra.overrides.hydra
            if not is_below(line.lstrip("+~").partition("=")[0], SWEEP_SETTINGS)
        ]
        config_dir = [f"--config-dir={self.task.config_dir}"] if self.task.config_dir is not None else []
        # a file such as sweep=seeds, chosen in the job too, would make a sweep of it
        return [*config_dir, *hydra, *overrides, "trainer.progress=false", "hydra.mode=RUN"]

    def run(self, jobs: Sequence[ProcessJob], total: int) -> None:
        """Run the jobs, which are of ``total`` in the sweep. Raises Stopped if the sweep was stopped."""
        if not jobs:
            return
        stop, threads = self.task.stop, max(job.config.threads for job in jobs)
        at_once = min(self.settings.jobs_at_once(threads), len(jobs))
        output = jobs[0].child.log.parent
        log.info(
            "%d of %d jobs to run, %d at once (hydra.launcher.n_jobs); what they print: %s",
            len(jobs),
            total,
            at_once,
            output,
        )
        cores = available_cores()
        if at_once * threads > cores:
            log.warning("n_jobs=%d × threads=%d on %d cores: they slow each other down", at_once, threads, cores)
        by_child = {id(job.child): job for job in jobs}
        with stop.deferred():
            run_children([job.child for job in jobs], at_once, stop, lambda child: self.count(by_child[id(child)]))
        if stop.signum is not None:
            self.task.tally.log_counts()
            raise Stopped(signal.Signals(stop.signum).name, 128 + stop.signum, saved=self.can_go_on(jobs))

    def can_go_on(self, jobs: Sequence[ProcessJob]) -> bool:
        """Return whether a stopped sweep has results or checkpoints to go on with, and no job was killed unsaved."""
        # a job that was stopped before its first checkpoint has lost nothing that a later start would miss
        killed = any(job.child.exit_code == -signal.SIGKILL for job in jobs)
        saved = any(job.child.exit_code == RESUMABLE or job.folder.has_checkpoint() for job in jobs)
        return (self.task.tally.finished + self.task.tally.finished_before > 0 or saved) and not killed

    def count(self, job: ProcessJob) -> None:
        """Count a job that has ended and log how it ended; write FAILED.json if it failed without doing so."""
        tally, code = self.task.tally, job.child.exit_code
        result = None
        with suppress(DataError):
            result = job.folder.result()
        if code == 0 and (result is not None or job.folder.debug):
            tally.finished += 1
            log.info("%s: finished%s: %s", job.name, score_suffix(result), job.folder.path)
        elif code == 0 and (job.folder.path / PRUNE).exists():
            tally.pruned += 1
            log.info("%s: pruned: %s", job.name, job.folder.path)
        elif code == RESUMABLE and not job.child.timed_out:
            tally.stopped += 1
            log.info("%s: stopped with a checkpoint: %s", job.name, job.folder.path)
        elif code in KILLED_BY_STOP and self.task.stop.signum is not None:
            tally.stopped += 1
            when = "without a new checkpoint" if job.folder.has_checkpoint() else "before its first checkpoint"
            log.info("%s: stopped %s: %s", job.name, when, job.folder.path)
        elif code == 1 and (holder := holder_line(job.child)):
            tally.elsewhere += 1
            log.info("%s: %s", job.name, holder)
        else:
            tally.failed += 1
            log.error("%s: failed: %s; see %s", job.name, job_error(job), job.child.log)


def with_titles(job_overrides: Sequence[Sequence[str]]) -> list[tuple[list[str], str]]:
    """Return each job's overrides with its title: the overrides that not all jobs have, or else all; secrets masked."""
    common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
    titled_jobs = []
    for overrides in job_overrides:
        different = [line for line in overrides if line not in common] or overrides
        titled_jobs.append((list(overrides), " ".join(masked_override(line.lstrip("+")) for line in different)))
    return titled_jobs


def is_below(key: str, parents: Sequence[str]) -> bool:
    """Return whether a key is one of the parents or lies below one."""
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def score_suffix(result: dict[str, Any] | None) -> str:
    """Return a finished run's test score as text behind a comma, or the empty string if there is none."""
    score = principal_score(printable(result["metrics"])) if result else None
    return "" if score is None else f", {score[0]} {score[1]:.4f}"


def holder_line(child: ChildProcess) -> str:
    """Return what a job printed last if another process holds its folder, else the empty string."""
    last = [line for line in child.output_tail().splitlines() if line.strip()][-1:]
    return last[0].removeprefix("membrane: ") if last and HELD in last[0] else ""


def job_error(job: ProcessJob) -> str:
    """Return why a job failed: the error in its FAILED.json, else the last line it printed, else how it ended.

    Writes FAILED.json if the run has not, unless its configuration was refused (exit code 2): then it has no folder.
    """
    child, failed = job.child, failure_time(job.folder)
    if failed is not None and failed != job.failed_before:
        with suppress(DataError):
            return str((job.folder.read("FAILED.json") or {}).get("error"))
    lines = [line for line in child.output_tail().splitlines() if line.strip()]
    ended_by_itself = child.exit_code in (1, 2) and not child.timed_out
    error = lines[-1].removeprefix("membrane: ") if ended_by_itself and lines else child.failure_reason()
    if child.exit_code != 2:
        record_failure(job.folder, error, child.output_tail())
    return error
