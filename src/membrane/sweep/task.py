"""The task that Hydra calls for each job: a job that fails does not end the others of its sweep."""

import logging
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from membrane.config.check import check, resolved
from membrane.config.extension import extended
from membrane.errors import ConfigError, DataError, RunFailed, one_line
from membrane.files.lock import Occupied
from membrane.runs.folder import RunFolder, failure_record
from membrane.runs.preparation import begins_anew, finished_already, refuse_to_move_working_folder, require_unfinished
from membrane.runs.stopping import Pruned, Stop
from membrane.schema import Config
from membrane.sweep.jobs import Job, membrane_overrides
from membrane.sweep.tally import Tally
from membrane.tracking.output import conceal
from membrane.training.imports import quick_imports

log = logging.getLogger(__name__)


class Task:
    """Runs jobs in this process and counts in ``tally`` how they ended; our launcher counts there too.

    ``config_dir`` is the user's folder of configurations; ``checked_jobs`` are composed and checked already.
    """

    def __init__(
        self,
        stop: Stop,
        config_dir: str | None = None,
        checked_jobs: Sequence[tuple[Job, Config]] = (),
    ) -> None:
        self.stop = stop
        self.config_dir = config_dir
        self.checked_jobs = {
            membrane_overrides(job.overrides): (job.config, config) for job, config in checked_jobs if not job.typical
        }
        self.tally = Tally()
        self.refusal: ConfigError | None = None

    def __call__(self, composed: DictConfig) -> dict[str, Any] | None:
        """Run a job and return its result, or None if it leaves none.

        The refusal of a single run is kept: Hydra prints a line of its own, with what was typed, before an exception.
        Raises Stopped, which ends the sweep.
        """
        from hydra.core.hydra_config import HydraConfig

        remove_sweep_file()
        folder = None
        try:
            config = runnable_config(composed, HydraConfig.get().overrides.task)
            folder = RunFolder(config)
            if finished_already(config, folder):
                self.tally.finished_before += 1
                return folder.result()
            from membrane.training.run import run

            run(config, self.stop)
            result = folder.result()
        except Pruned:
            self.tally.pruned += 1
            log.info("pruned: %s ends before its last epoch, with a checkpoint", folder.path if folder else "the run")
            return None
        except (Exception, SystemExit) as error:
            if isinstance(error, ConfigError) and not is_sweep():  # a sweep has its other jobs to run
                self.refusal = error
                return None
            if isinstance(error, Occupied) and is_sweep():
                self.tally.elsewhere += 1
            else:  # a single run that is held elsewhere has done nothing of what was asked
                self.tally.failed += 1
            log_failure(error, folder)
            return None
        self.tally.finished += 1
        return result


def runnable_config(composed: DictConfig, overrides: Sequence[str]) -> Config:
    """Return the checked configuration of a job. Raises ConfigError if it cannot run, DataError as `rehearsed`."""
    config = check(extended(resolved(composed), overrides))
    conceal(config.environment)
    if config.keep_going:  # otherwise nothing starts unless all jobs can be built
        buildable = rehearsed(config)
        if not isinstance(buildable, Config):
            raise buildable
    return config


def rehearsed(config: Config | ConfigError) -> Config | ConfigError | DataError:
    """Return the configuration, or why its run cannot begin; a finished run is not built.

    That is a DataError if the run's own folder is damaged, else a ConfigError.
    """
    if isinstance(config, ConfigError):
        return config
    try:
        folder = RunFolder(config)
        if folder.result() is None or config.rerun:
            rehearse_beginning(config, folder)
    except (ConfigError, DataError) as error:
        return error
    except OSError as error:
        return ConfigError(f"{error.filename}: {error.strerror}")
    return config


def rehearse_beginning(config: Config, folder: RunFolder) -> None:
    """Raise ConfigError if a run cannot begin in its folder, or if a part of it cannot be built."""
    require_unfinished(config, folder)
    refuse_to_move_working_folder(config, folder)
    with quick_imports():
        from membrane.training.assembly import rehearse
        from membrane.training.initial import require_extendable
    if config.extend is not None and begins_anew(config, folder):
        require_extendable(config.extend)
    try:
        rehearse(config)
    except DataError as error:  # of another run's checkpoint, which the configuration names
        raise ConfigError(str(error)) from None


def log_failure(error: BaseException, folder: RunFolder | None) -> None:
    """Log a line for a job that failed, and write FAILED.json if its run has not."""
    if isinstance(error, RunFailed):  # logged and recorded already
        return
    if isinstance(error, ConfigError | DataError | Occupied):
        log.error("membrane: %s", error)
    elif isinstance(error, OSError):  # of the folder: what happens inside a run is RunFailed
        path = error.filename or (folder.path if folder else "paths.runs")  # a full disk names no file
        log.error("membrane: the run's folder cannot be used: %s: %s", path, error.strerror or one_line(error))
    else:
        message = f"{type(error).__name__}: {one_line(error)}"
        trace = "".join(traceback.format_exception(error))
        if folder is not None and record_failure(folder, message, trace):
            trace = f"; see {folder.path / 'FAILED.json'}"
        else:
            trace = f"\n{trace}"
        log.error("failed: %s%s", message, trace)


def record_failure(folder: RunFolder, error: str, trace: str) -> bool:
    """Write FAILED.json in a run's folder, and return whether it could be written.

    It is not written where a result lies or while another process holds the folder.
    """
    with suppress(Occupied, DataError, OSError), folder.locked():
        if folder.result() is None:
            if folder.read("provenance.json") is None:
                folder.write("provenance.json", {"fingerprint": folder.fingerprint, "seed": folder.seed})
            folder.write("FAILED.json", failure_record(error, trace, folder.environment))
            return True
    return False


def failure_time(folder: RunFolder) -> int | None:
    """Return when FAILED.json in a run's folder was written, in nanoseconds since 1970, or None if there is none."""
    try:
        return (folder.path / "FAILED.json").stat().st_mtime_ns
    except OSError:
        return None


def remove_sweep_file() -> None:
    """Remove the copy of the configuration that Hydra's sweeper writes, in which nothing is masked."""
    from hydra.core.hydra_config import HydraConfig

    if is_sweep():  # otherwise the folder is the person's own
        (Path(HydraConfig.get().sweep.dir) / "multirun.yaml").unlink(missing_ok=True)


def is_sweep() -> bool:
    """Return whether the job that runs in this process is one of a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.get().mode is RunMode.MULTIRUN
