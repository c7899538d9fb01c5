"""One job: a run in its folder, skipped where it is finished, recorded where it fails."""

import logging
import traceback
from contextlib import suppress
from typing import Any

from omegaconf import DictConfig

from membrane.config.redaction import as_yaml, published
from membrane.errors import ConfigError, DataError, one_line
from membrane.runs import provenance
from membrane.runs.folder import PRUNE, RunFolder
from membrane.runs.stopping import Pruned, Stop, Stopped
from membrane.schema import Config
from membrane.tracking.log import run_log

log = logging.getLogger(__name__)


class RunFailed(Exception):
    """A run failed; what it was stands in its folder and on the terminal already."""


def perform(config: Config, composed: DictConfig, stop: Stop) -> None:
    """One run in its folder: skipped where it is finished, continued where it is not, recorded where it fails."""
    place = RunFolder(config)
    if skipped(config, place):
        return
    with place.locked():
        if skipped(
            config, place
        ):  # another process finished it after the first look: what is finished is never cleared
            return
        make_ready(config, place)
        said = published(config, composed)
        (place.path / "config.yaml").write_text(as_yaml(said))
        try:
            with run_log(place.path / "run.log"):
                guarded(config, said, place, stop)
        except Stopped as stopped:
            saved = place.has_checkpoint() and not stop.insisted
            raise stopped if stopped.saved or not saved else Stopped(stopped.why, stopped.code, saved) from None


def make_ready(config: Config, place: RunFolder) -> None:
    """Move what is in the run's folder aside, leave it to be continued, or remove it; one line says which."""
    if config.rerun and not place.debug and place.has_content() and not interrupted_rerun(place):
        log.info("rerun: the earlier run is now %s", place.move_aside())
    elif place.has_checkpoint() and not place.debug:
        (place.path / PRUNE).unlink(missing_ok=True)
        return
    elif place.clear() and not place.debug:
        log.info("%s was broken off before its first checkpoint; it starts anew", place.path)
    place.path.mkdir(parents=True, exist_ok=True)
    begun = {"fingerprint": place.fingerprint, "seed": place.seed, "rerun": config.rerun}
    place.write("provenance.json", begun)


def interrupted_rerun(place: RunFolder) -> bool:
    """Whether what lies in the folder is itself a rerun that was stopped: the same command goes on with it.

    Not one that failed: what cannot go on says that rerun=true runs it anew.
    """
    if place.result() is not None or (place.path / "FAILED.json").exists():
        return False
    with suppress(DataError):
        return bool((place.read("provenance.json") or {}).get("rerun"))
    return False


def skipped(config: Config, place: RunFolder) -> bool:
    """Whether the run is finished already; one line says so, and what has changed since."""
    done = place.result()
    if done is None or config.rerun:
        return False
    changes = provenance.changes_since(place.read("provenance.json") or {})
    since = f"; since then {', '.join(changes)}: rerun=true runs it again" if changes else ""
    name = "test/mae" if "test/mae" in done["metrics"] else "test/acc"
    log.info("finished already: %s (%s %.4f)%s", place.path, name, done["metrics"].get(name, float("nan")), since)
    if config.trainer.profile:
        log.info("trainer.profile: there is no step to time; name=NAME trains in a folder of its own, rerun=true again")
    return True


def guarded(config: Config, said: dict[str, Any], place: RunFolder, stop: Stop) -> None:
    """Run, and leave FAILED.json with the traceback where that fails."""
    from membrane.training.run import run

    try:
        run(config, said, place, stop)
    except Pruned:
        raise
    except Exception as error:
        logging.getLogger("traceback").exception("the run failed")  # to run.log, not to the terminal
        where = f"see {place.path / 'FAILED.json'}"
        try:
            place.write("FAILED.json", {"error": one_line(error), "traceback": traceback.format_exc()})
        except OSError as why:  # the disk is full or gone: what failed must be told all the same
            where = f"FAILED.json could not be written there: {place.path} ({why.strerror})"
        if isinstance(error, ConfigError | DataError):
            log.error("failed: %s", error)
        else:
            log.error("failed: %s: %s; %s", type(error).__name__, one_line(error), where)
        raise RunFailed from error
