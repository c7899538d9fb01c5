"""The summary of a search: how its trials ended, the best of them, and the command that runs it."""

import logging
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint
from membrane.runs.provenance import program_command
from membrane.schema.secrets import masked_override
from membrane.sweep.search.plan import Plan, job_config
from membrane.sweep.search.study import REQUEUED, Study

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "WAITING": "waiting"}
"""Optuna's states of trials, and their names in the summary."""


def log_summary(plan: Plan, study: Study) -> None:
    """Log the number of trials by state, and the best one's value, parameters and command."""
    counts = Counter(trial.state.name for trial in study.trials(*STATES) if REQUEUED not in trial.user_attrs)
    counted = ", ".join(f"{counts[state]} {name}" for state, name in STATES.items() if counts[state])
    log.info("study %s: %s", plan.name(), counted or "no trial yet")
    best = study.best()
    if best is None:
        return
    lines = [masked_override(line.removeprefix("++")).partition("=") for line in plan.parameter_overrides(best.params)]
    width = max(len(name) for name, _, _ in [(plan.metric, "", ""), *lines])
    log.info("best, trial %d:", best.number)
    log.info("  %s  %.4f", plan.metric.ljust(width), best.value)
    for name, _, value in lines:
        log.info("  %s  %s", name.ljust(width), value)
    log.info("%s", best_command(plan, best))


def best_command(plan: Plan, best: "FrozenTrial") -> str:
    """Return the command line that runs the best trial, quoted for a shell, with its secrets masked."""
    parameters = plan.parameter_overrides(best.params)
    overrides = [*plan.search_path(), *plan.fixed, *parameters]
    without_sweep = [line for line in overrides if not line.lstrip("+").startswith("sweep=")]
    if is_trial(plan, without_sweep, parameters):
        overrides = without_sweep
    else:  # the file of the sweep sets more than the search
        overrides.append("hydra.mode=RUN")
    words = [*program_command(), *plan.config_dir, *overrides]
    return shlex.join(masked_override(word.removeprefix("++")) for word in words)


def is_trial(plan: Plan, overrides: list[str], parameters: list[str]) -> bool:
    """Return whether the overrides give the same experiment as the trial with these parameters."""
    try:
        return fingerprint(job_config(plan.composer, overrides)) == fingerprint(plan.trial_config(parameters))
    except ConfigError:
        return False
