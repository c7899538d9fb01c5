"""The jobs of a sweep in processes of their own: `hydra/launcher=processes`."""

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
from membrane.errors import ConfigError, DataError, Stopped
from membrane.runs.folder import PRUNE, RunFolder
from membrane.runs.preparation import finished_already
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.scores import principal_score
from membrane.sweep.jobs import membrane_overrides
from membrane.sweep.processes import Child, Processes, cores, run_all
from membrane.sweep.task import Task, record_failure, runnable_config

log = logging.getLogger(__name__)

OF_THE_SWEEP = ("hydra.mode", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra/sweeper", "hydra/launcher")
"""Hydra's settings that a job of the sweep is not given."""
SAVED = 75
"""The exit code of a job that goes on from a checkpoint when it is started again."""
TOLD = (128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL)
"""The exit codes of a job that was told to stop and could not save."""


@dataclass
class Running:
    """A job with a process: its name, its configuration and folder, and when its run last failed before."""

    name: str
    config: Config
    folder: RunFolder
    child: Child
    failed_before: int | None


class JobsInProcesses:
    """Keeps ``n_jobs`` processes running until all jobs have had one; each has ``job_timeout`` to end.

    ``master`` is the configuration of the whole sweep, with Hydra's node.
    """

    def __init__(self, settings: Processes, loader: ConfigLoader, task: Task, master: DictConfig) -> None:
        self.settings = settings
        self.loader = loader
        self.task = task
        self.master = master

    def launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run the jobs, the first of which has this number, from 0; each returns its result, None where there is none.

        Jobs with the same run folder share one process. Raises Stopped if the sweep was stopped.
        """
        output = Path(self.master.hydra.sweep.dir)
        output.mkdir(parents=True, exist_ok=True)
        (output / "multirun.yaml").unlink(missing_ok=True)  # Hydra's copy of the configuration: nothing is masked
        total, returned = first + len(job_overrides), list[JobReturn]()
        waiting, unfinished = dict[Path, Running](), list[tuple[JobReturn, RunFolder]]()
        for number, (overrides, title) in enumerate(with_titles(job_overrides), first + 1):
            returned.append(JobReturn(overrides=overrides, status=JobStatus.COMPLETED))
            job = self.prepared(f"{number}/{total} {title}", returned[-1], output / f"{number}.log")
            if job is None:
                continue
            unfinished.append((returned[-1], job.folder))
            if waiting.setdefault(job.folder.path, job) is not job:
                log.info("%s: the same run as %s", job.name, waiting[job.folder.path].name)
        self.run(list(waiting.values()), len(job_overrides))
        for each, folder in unfinished:
            with suppress(DataError):
                each.return_value = folder.result()
        return returned

    def prepared(self, name: str, returned: JobReturn, output: Path) -> Running | None:
        """Return a job with the process that it will have, None where it is finished already or cannot run."""
        assert returned.overrides is not None
        try:
            returned.cfg, config = self.composed(returned.overrides)
            folder = RunFolder(config)
            if finished_already(config, folder):
                self.task.tally.finished += 1
                returned.return_value = folder.result()
                return None
        except (ConfigError, DataError) as error:
            self.task.tally.failed += 1
            log.error("%s: refused: %s", name, error)
            return None
        child = Child(self.arguments(returned.overrides), output, self.settings.timeout())
        return Running(name, config, folder, child, when_failed(folder))

    def composed(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        """Return a job's configuration as composed and as checked. Raises ConfigError if it cannot run."""
        checked_job = self.task.checked_jobs.get(membrane_overrides(overrides))
        if checked_job is not None:
            return checked_job
        composed = without_hydra(self.loader.load_sweep_config(self.master, list(overrides)))
        return composed, runnable_config(composed, overrides)

    def arguments(self, overrides: Sequence[str]) -> list[str]:
        """Return the command line of a job: its own overrides, and those of the sweep that are not for the sweep."""
        of_sweep = self.master.hydra.overrides.hydra
        kept = [line for line in of_sweep if not is_below(line.lstrip("+~").partition("=")[0], OF_THE_SWEEP)]
        config_dir = [f"--config-dir={self.task.config_dir}"] if self.task.config_dir is not None else []
        # a file such as sweep=seeds, chosen in the job too, would make a sweep of it
        return [*config_dir, *kept, *overrides, "trainer.progress=false", "hydra.mode=RUN"]

    def run(self, jobs: Sequence[Running], total: int) -> None:
        """Run the jobs that need a process, of so many in all. Raises Stopped if the sweep was stopped."""
        if not jobs:
            return
        stop, threads = self.task.stop, max(job.config.threads for job in jobs)
        at_once = min(self.settings.at_once(threads), len(jobs))
        output = jobs[0].child.log.parent
        log.info(
            "%d of %d jobs to run, %d at once (hydra.launcher.n_jobs); what they print: %s",
            len(jobs),
            total,
            at_once,
            output,
        )
        if at_once * threads > cores():
            log.warning("n_jobs=%d × threads=%d on %d cores: they slow each other down", at_once, threads, cores())
        by_child = {id(job.child): job for job in jobs}
        with stop.deferred():
            run_all([job.child for job in jobs], at_once, stop, lambda child: self.count(by_child[id(child)]))
        if stop.signum is not None:
            self.task.tally.log_counts()
            # what had no checkpoint yet has lost nothing: only what did not save in time has
            lost = any(job.child.code == -signal.SIGKILL for job in jobs)
            kept = self.task.tally.finished > 0 or any(
                job.child.code == SAVED or job.folder.has_checkpoint() for job in jobs
            )
            raise Stopped(signal.Signals(stop.signum).name, 128 + stop.signum, saved=kept and not lost)

    def count(self, job: Running) -> None:
        """Count a job that has ended, and log how; where it failed, its folder says so too."""
        tally, code = self.task.tally, job.child.code
        result = None
        with suppress(DataError):
            result = job.folder.result()
        if code == 0 and (result is not None or job.folder.debug):
            tally.finished += 1
            log.info("%s: finished%s: %s", job.name, score_suffix(result), job.folder.path)
        elif code == 0 and (job.folder.path / PRUNE).exists():
            tally.pruned += 1
            log.info("%s: pruned: %s", job.name, job.folder.path)
        elif code == SAVED and not job.child.timed_out:
            tally.stopped += 1
            log.info("%s: stopped with a checkpoint: %s", job.name, job.folder.path)
        elif code in TOLD and self.task.stop.signum is not None:
            tally.stopped += 1
            how = "without a new checkpoint" if job.folder.has_checkpoint() else "before its first checkpoint"
            log.info("%s: stopped %s: %s", job.name, how, job.folder.path)
        else:
            tally.failed += 1
            log.error("%s: failed: %s; see %s", job.name, failure_of(job), job.child.log)


def with_titles(job_overrides: Sequence[Sequence[str]]) -> list[tuple[list[str], str]]:
    """Return each job's overrides, and as its title those that not all jobs have, or all of them; secrets masked."""
    common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
    titled = []
    for overrides in job_overrides:
        different = [line for line in overrides if line not in common] or overrides
        titled.append((list(overrides), " ".join(masked_override(line.lstrip("+")) for line in different)))
    return titled


def is_below(key: str, parents: Sequence[str]) -> bool:
    """Return whether a key is one of these or lies below one."""
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def score_suffix(result: dict[str, Any] | None) -> str:
    """Return a finished run's score on the test set as text behind a comma, nothing where there is none."""
    score = principal_score(result["metrics"]) if result else None
    return "" if score is None else f", {score[0]} {score[1]:.4f}"


def when_failed(folder: RunFolder) -> int | None:
    """Return when the run's FAILED.json was written, in nanoseconds since 1970; None where there is none."""
    try:
        return (folder.path / "FAILED.json").stat().st_mtime_ns
    except OSError:
        return None


def failure_of(job: Running) -> str:
    """Return why a job failed, as its run says it, or its last line, or how its process ended.

    A job that left no FAILED.json gets one; one whose configuration was refused (exit code 2) has no folder.
    """
    child, written = job.child, when_failed(job.folder)
    if written is not None and written != job.failed_before:
        with suppress(DataError):
            return str((job.folder.read("FAILED.json") or {}).get("error"))
    lines = [line for line in child.tail().splitlines() if line.strip()]
    spoke = child.code in (1, 2) and not child.timed_out and lines
    error = lines[-1].removeprefix("membrane: ") if spoke else child.how()
    if child.code != 2:
        record_failure(job.folder, error, child.tail())
    return error
