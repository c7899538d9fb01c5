"""Train a recorded run again from its folder alone, and compare every number with the record's."""

import logging
from collections.abc import Sequence
from pathlib import Path

from membrane.cli.evaluate import changed_config
from membrane.cli.versions import check_versions
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.papers.repetition import differing_numbers, numbers_in
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import RunFolder
from membrane.runs.processor import processor_name
from membrane.runs.provenance import changes_since, code_digest
from membrane.runs.saved import read_config, read_provenance, read_result
from membrane.runs.stopping import Stop
from membrane.schema import Config
from membrane.tracking.log import log_to_terminal

log = logging.getLogger(__name__)

RUNS = "paths.runs=runs/repeated"
"""Where runs are repeated, apart from others, unless another folder is named."""


def repeat(record: Path, settings: Sequence[str]) -> int:
    """Train the run of a record's folder again, print which numbers differ, and return the exit code: 1 if any does."""
    config = repeated_config(record, settings)
    with log_to_terminal():
        check_versions()
        log_other_conditions(record)
        run = trained_again(config)
        recorded = numbers_in(record)
        differing = differing_numbers(recorded, numbers_in(run))
        for line in differing:
            log.error("%s", line)
        if differing:
            log.error("%d of %d numbers differ from %s", len(differing), len(recorded), record)
            log_code_of(record)
        else:
            log.info("all %d numbers of %s came back to the last digit", len(recorded), record)
    return 1 if differing else 0


def repeated_config(record: Path, settings: Sequence[str]) -> Config:
    """Return the configuration in a record's folder. Raises ConfigError if settings make another run of it."""
    recorded = read_result(record)
    config = changed_config(Composer(), read_config(record), [RUNS, *settings])
    if fingerprint(config) != recorded.get("fingerprint") or config.seed != recorded.get("seed"):
        raise ConfigError(f"{record}: {' '.join(settings)} makes another run of it; paths.data and paths.runs do not")
    return config


def trained_again(config: Config) -> Path:
    """Train a configuration, after an earlier run of it was moved aside if that is finished, and return the folder."""
    from membrane.training.run import run

    folder = RunFolder(config)
    if folder.result() is not None:
        config = config.model_copy(update={"rerun": True})
    stop = Stop()
    with stop.handling_signals():
        run(config, stop)
    return folder.path


def log_other_conditions(record: Path) -> None:
    """Log in what the code, the versions and the processor differ from those of a record, if in anything."""
    provenance = read_provenance(record)
    changes = changes_since(provenance)
    if (processor := provenance.get("processor")) != processor_name():
        changes.append(f"processor {processor} → {processor_name()}")
    if changes:
        log.info("recorded under other conditions: %s", ", ".join(changes))


def log_code_of(record: Path) -> None:
    """Log where the code of a record is to be had, if it is not the present one, which may round otherwise."""
    provenance = read_provenance(record)
    git = provenance.get("git") or {}
    if provenance.get("code_digest") == code_digest() or not git.get("commit"):
        return
    commit, changed = git["commit"][:12], ", which was changed when it trained" if git.get("diff") else ""
    log.info("its code is of commit %s%s: in a clone git worktree add ../then %s,", commit, changed, commit)
    log.info("and PYTHONPATH=../then/src python -m membrane train … trains with that")
