"""What Hydra calls for each job, and what its outcome is to the sweep: one job that fails never ends the others."""

import logging
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from membrane.config.check import check, resolved
from membrane.config.extension import extended
from membrane.errors import ConfigError, DataError, one_line
from membrane.files.lock import Occupied
from membrane.runs.folder import RunFolder
from membrane.runs.stopping import Pruned, Stop
from membrane.schema import Config
from membrane.sweep.folder import Tally, own
from membrane.sweep.jobs import Job
from membrane.training.imports import quick_imports
from membrane.training.job import RunFailed, perform

log = logging.getLogger(__name__)


class Task:
    """Runs a job in this process and counts how it ended; a launcher of ours counts in ``tally`` too.

    ``known``: jobs that are composed and checked already.
    """

    def __init__(
        self,
        stop: Stop,
        config_dir: str | None = None,
        known: Sequence[tuple[Job, Config]] = (),
    ) -> None:
        self.stop = stop
        self.config_dir = config_dir
        self.known = {own(job.overrides): (job.config, config) for job, config in known if not job.typical}
        self.tally = Tally()

    def __call__(self, composed: DictConfig) -> dict[str, Any] | None:
        """The run's result, or None where there is none. Stopped goes through: it ends the sweep."""
        from hydra.core.hydra_config import HydraConfig

        forget_sweep_file()
        place = None
        try:
            config = checked(composed, HydraConfig.get().overrides.task)
            place = RunFolder(config)
            perform(config, composed, self.stop)
            result = place.result()
        except Pruned:
            self.tally.pruned += 1
            log.info("pruned: %s ends before its last epoch, with a checkpoint", place.path if place else "the run")
            return None
        except (Exception, SystemExit) as error:
            self.tally.failed += 1
            tell(error, place)
            return None
        self.tally.finished += 1
        return result


def checked(composed: DictConfig, overrides: Sequence[str]) -> Config:
    """A configuration that can run, composed from a job's overrides. ConfigError where it cannot."""
    config = check(extended(resolved(composed), overrides))
    if config.keep_going:  # otherwise nothing starts unless all jobs can be built
        why_not = buildable(config)
        if isinstance(why_not, ConfigError):
            raise why_not
    return config


def buildable(config: Config | ConfigError) -> Config | ConfigError:
    """A configuration of which everything can be built, or why not; what is finished already is not built."""
    if isinstance(config, ConfigError):
        return config
    try:
        if RunFolder(config).result() is None or config.rerun:
            with quick_imports():
                from membrane.training.assembly import rehearse
            rehearse(config)
    except (ConfigError, DataError) as error:
        return ConfigError(str(error))
    except OSError as error:
        return ConfigError(f"{error.filename}: {error.strerror}")
    return config


def tell(error: BaseException, place: RunFolder | None) -> None:
    """One line for a job that failed; what no run recorded by itself is recorded in its folder."""
    if isinstance(error, RunFailed):  # told and recorded already
        return
    if isinstance(error, ConfigError | DataError | Occupied):
        log.error("membrane: %s", error)
    elif isinstance(error, OSError):  # of the folder: what happens inside a run is RunFailed
        where = error.filename or (place.path if place else "paths.runs")  # a full disk names no file
        log.error("membrane: the run's folder cannot be used: %s: %s", where, error.strerror or one_line(error))
    else:
        said = f"{type(error).__name__}: {one_line(error)}"
        trace = "".join(traceback.format_exception(error))
        kept = place is not None and record_failure(place, said, trace)
        log.error("failed: %s%s", said, f"; see {place.path / 'FAILED.json'}" if place and kept else f"\n{trace}")


def record_failure(place: RunFolder, error: str, trace: str) -> bool:
    """Leave FAILED.json in a run's folder; whether it is there.

    Not where a result lies or while another process holds the folder, and not where nothing can be written.
    """
    with suppress(Occupied, DataError, OSError), place.locked():
        if place.result() is None:
            if place.read("provenance.json") is None:
                place.write("provenance.json", {"fingerprint": place.fingerprint, "seed": place.seed})
            place.write("FAILED.json", {"error": error, "traceback": trace})
            return True
    return False


def forget_sweep_file() -> None:
    """Remove the copy of the configuration that Hydra's sweeper writes: nothing in it is masked."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    if hydra.mode is RunMode.MULTIRUN:  # otherwise the folder is the person's own
        (Path(hydra.sweep.dir) / "multirun.yaml").unlink(missing_ok=True)
