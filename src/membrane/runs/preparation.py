"""A run's folder before the run: skipped, continued, moved aside or emptied. Without torch."""

import logging
from contextlib import suppress
from pathlib import Path

from membrane.errors import ConfigError, DataError
from membrane.runs import provenance
from membrane.runs.contents import PRUNE, remove_temporaries
from membrane.runs.folder import RunFolder
from membrane.runs.visibility import printable
from membrane.schema import Config
from membrane.scores import principal_score

log = logging.getLogger(__name__)


def finished_already(config: Config, folder: RunFolder) -> bool:
    """Return whether the run need not run again, and log so together with what has changed since."""
    result = folder.result()
    if result is None or config.rerun:
        return False
    changes = provenance.changes_since(folder.read("provenance.json") or {})
    since = f"; since then {', '.join(changes)}: rerun=true runs it again" if changes else ""
    score = principal_score(printable(result["metrics"]))
    notes = [*([f"{score[0]} {score[1]:.4f}"] if score else []), *([result["ended"]] if "ended" in result else [])]
    log.info("finished already: %s%s%s", folder.path, f" ({', '.join(notes)})" if notes else "", since)
    if config.trainer.profile:
        log.info("trainer.profile: there is no step to time; name=NAME trains in a folder of its own, rerun=true again")
    return True


def require_unfinished(config: Config, folder: RunFolder) -> None:
    """Raise ConfigError if ``finish=true`` finds no unfinished run whose checkpoints can be tested."""
    if not config.finish:
        return
    if config.rerun and not is_interrupted_rerun(folder):
        raise ConfigError("finish=true ends the run that lies there, rerun=true would move it aside: say one of them")
    if not folder.has_checkpoint():
        raise ConfigError(f"finish=true: {folder.path} has no checkpoint yet; without finish=true the run begins")
    if config.protocol == "val_best" and not (folder.path / "checkpoints" / "best.ckpt").is_file():
        unselected = "has validated no epoch yet, so none is selected"
        raise ConfigError(f"finish=true: {folder.path} {unselected}; without finish=true the run goes on")


def refuse_to_move_working_folder(config: Config, folder: RunFolder) -> None:
    """Raise ConfigError if a rerun would move the folder aside in which the person is, or one around it."""
    here, run = Path.cwd(), folder.path.absolute()
    if config.rerun and run in (here, *here.parents) and folder.has_content() and not is_interrupted_rerun(folder):
        raise ConfigError(f"rerun=true would move {run} aside, in which you are: start it from another folder")


def begins_anew(config: Config, folder: RunFolder) -> bool:
    """Return whether a run that is not finished begins, or begins again, rather than going on from a checkpoint."""
    return not folder.has_checkpoint() or folder.debug or (config.rerun and not is_interrupted_rerun(folder))


def prepare(config: Config, folder: RunFolder) -> Path | None:
    """Leave the folder ready to train in: continue what has a checkpoint, move a rerun's former run aside, or empty it.

    One log line says which. The caller holds the folder. Returns where a former run lies that was moved aside.
    """
    aside = None
    remove_temporaries(folder.path)
    if config.rerun and not folder.debug and folder.has_content() and not is_interrupted_rerun(folder):
        aside = folder.move_aside()
        log.info("rerun: the earlier run is now %s", aside)
    elif folder.has_checkpoint() and not folder.debug:
        (folder.path / PRUNE).unlink(missing_ok=True)
        return None
    elif folder.clear() and not folder.debug:
        log.info("%s was broken off before its first checkpoint; it starts anew", folder.path)
    folder.path.mkdir(parents=True, exist_ok=True)
    identity = {"fingerprint": folder.fingerprint, "seed": folder.seed, "rerun": config.rerun}
    folder.write("provenance.json", identity)
    return aside


def withdraw(folder: RunFolder, aside: Path | None) -> None:
    """Undo `prepare` for a run that was refused; ``aside`` is what that returned. What has a checkpoint stays."""
    if folder.has_checkpoint():
        return
    folder.clear()
    if aside is not None:
        aside.rename(folder.path)
        log.info("rerun: the earlier run is %s again", folder.path)


def is_interrupted_rerun(folder: RunFolder) -> bool:
    """Return whether the folder holds a rerun that was stopped, with which the same command goes on.

    A rerun that failed is none: what cannot go on says that rerun=true runs it anew.
    """
    if folder.result() is not None or (folder.path / "FAILED.json").exists():
        return False
    with suppress(DataError):
        return bool((folder.read("provenance.json") or {}).get("rerun"))
    return False
