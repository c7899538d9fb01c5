"""What a search found: how its trials ended, the best of them, and the command that runs it."""

import logging
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint
from membrane.runs.provenance import program_command
from membrane.schema.secrets import masked_override
from membrane.sweep.search.plan import Plan, configured
from membrane.sweep.search.study import REQUEUED, Study

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)
WORDS = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "WAITING": "waiting"}


def tell_verdict(plan: Plan, study: Study) -> None:
    """A short table, and the command to copy."""
    counted = Counter(trial.state.name for trial in study.trials(*WORDS) if REQUEUED not in trial.user_attrs)
    ended = ", ".join(f"{counted[state]} {word}" for state, word in WORDS.items() if counted[state])
    log.info("study %s: %s", plan.name(), ended or "no trial yet")
    best = study.best()
    if best is None:
        return
    lines = [masked_override(line.removeprefix("++")).partition("=") for line in plan.overrides(best.params)]
    width = max(len(name) for name, _, _ in [(plan.metric, "", ""), *lines])
    log.info("best, trial %d:", best.number)
    log.info("  %s  %.4f", plan.metric.ljust(width), best.value)
    for name, _, value in lines:
        log.info("  %s  %s", name.ljust(width), value)
    log.info("%s", command(plan, best))


def command(plan: Plan, best: "FrozenTrial") -> str:
    """The command line that runs the best trial, quoted for a shell, its secrets masked."""
    params = plan.overrides(best.params)
    overrides = [*plan.places_of_files(), *plan.fixed, *params]
    without = [line for line in overrides if not line.lstrip("+").startswith("sweep=")]
    typed = [
        *program_command(),
        *plan.config_dir,
        *(without if same(plan, without, params) else [*overrides, "hydra.mode=RUN"]),
    ]
    return shlex.join(masked_override(word.removeprefix("++")) for word in typed)


def same(plan: Plan, overrides: list[str], params: list[str]) -> bool:
    """Whether the command line without the sweep's file runs the same: that file may say more."""
    try:
        return fingerprint(configured(plan.composer, overrides)) == fingerprint(plan.configured(params))
    except ConfigError:
        return False
