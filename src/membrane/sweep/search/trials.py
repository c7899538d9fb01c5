"""A search with Optuna over runs: propose trials, run them, report their validation values, log the best.

The outcome of a run is read from its folder, so any launcher will do, and a finished run is not run again. No value of
the test set is used.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from membrane.errors import ConfigError, DataError, RunFailed
from membrane.runs.folder import RunFolder
from membrane.runs.visibility import hidden_test_scores
from membrane.schema.secrets import masked_override
from membrane.sweep.search.plan import Plan
from membrane.sweep.search.pruning import WatchedRun, Watcher
from membrane.sweep.search.study import Study, hold_study
from membrane.sweep.search.summary import log_summary
from membrane.sweep.task import failure_time
from membrane.tracking.log import silence_libraries

if TYPE_CHECKING:
    from optuna.trial import Trial

log = logging.getLogger(__name__)
MAX_FAILURES_IN_A_ROW = 5
"""A search ends after so many failed trials in a row: something is wrong with all of them."""
RUN = "run"
"""The attribute of a trial that names its run: fingerprint and seed."""

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[Any]]
"""A launcher: it takes the overrides of jobs and the number of the first, and returns Hydra's JobReturn of each."""


def run_search(plan: Plan, launch: Launch, at_once: int) -> None:
    """Go on with the plan's study until it is complete, ``at_once`` jobs in a batch, and log a summary."""
    import optuna  # noqa: F401 - before `silence_libraries`, which silences it

    name, storage = plan.name(), plan.storage
    with silence_libraries(), hold_study(Path(storage.removeprefix("sqlite:///")).parent / f"{name}.lock"):
        study = Study.open(
            name, plan.identity(), storage, plan.direction, plan.space, plan.settings, plan.typical.epochs
        )
        log.info("study %s in %s: %d of %d trials to go", name, storage, study.remaining(), plan.settings.n_trials)
        try:
            with hidden_test_scores():
                Search(plan, study, launch, plan.settings.n_jobs or at_once).run()
        finally:
            log_summary(plan, study)


@dataclass
class Proposal:
    """A trial as a job. ``folder`` is None if it was refused; ``state`` is empty until it has ended.

    ``failed_before`` is the time of its run's last failure before this job.
    """

    trial: "Trial"
    overrides: list[str]
    folder: RunFolder | None = None
    state: str = ""
    failed_before: int | None = None
    watched: WatchedRun | None = None

    @property
    def run(self) -> str:
        """Return the run's name, which is the same wherever its folder lies; empty if it was refused."""
        return "" if self.folder is None else f"{self.folder.fingerprint}/seed{self.folder.seed}"

    def parameters(self) -> str:
        """Return the parameters as they would be typed, secrets masked."""
        return " ".join(masked_override(line.removeprefix("++")) for line in self.overrides)


class Search:
    """Proposes batches of jobs, launches them, and tells the study how they ended."""

    def __init__(self, plan: Plan, study: Study, launch: Launch, at_once: int) -> None:
        self.plan = plan
        self.study = study
        self.launch = launch
        self.at_once = at_once
        self.launched = 0
        self.failed_runs: set[str] = set()
        self.refused = 0

    def run(self) -> None:
        """Run trials until none remains, or until a run is stopped.

        Raises RunFailed if too many trials fail in a row, or at the end if any were refused.
        """
        self.study.requeue_abandoned()
        failures_in_a_row = 0
        while (remaining := self.study.remaining()) > 0:
            batch = [self.propose() for _ in range(min(self.at_once, remaining))]
            self.run_batch(batch)
            for proposal in batch:
                failures_in_a_row = failures_in_a_row + 1 if proposal.state == "fail" else 0
            if any(proposal.state == "stopped" for proposal in batch):
                log.info("a run was stopped before its end: start the search again to go on")
                return
            if failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise RunFailed(f"{failures_in_a_row} trials failed one after the other; the search ends here")
        if self.refused:
            raise RunFailed(f"{self.refused} trials were refused")

    def propose(self) -> Proposal:
        """Return the next trial as a job; if its configuration is refused, the trial has failed already."""
        trial = self.study.ask()
        proposal = Proposal(trial, self.plan.parameter_overrides(trial.params))
        try:
            proposal.folder = RunFolder(self.plan.trial_config(proposal.overrides))
        except ConfigError as error:
            log.error("trial %d refused: %s: %s", trial.number, proposal.parameters(), error)
            self.refused += 1
            self.end(proposal, "fail")
        else:
            trial.set_user_attr(RUN, proposal.run)
        return proposal

    def run_batch(self, batch: list[Proposal]) -> None:
        """Run the jobs of a batch, each run once and none that has been tried before, and record how all trials ended.

        They are recorded even if the launcher raises, as it does when the process is told to stop.
        """
        jobs: dict[str, Proposal] = {}
        for proposal in batch:
            if not proposal.state and not self.end_if_tried_before(proposal):
                jobs.setdefault(proposal.run, proposal)
        if not jobs:
            return
        job_returns = None
        try:
            job_returns = self.launch_and_watch(list(jobs.values()))
        finally:
            for proposal in jobs.values():
                self.end_by_run_folder(proposal, interrupted=job_returns is None)
            for proposal in batch:
                # one that shares its run with another proposal, whose job was stopped
                if not proposal.state and not self.end_if_tried_before(proposal):
                    self.requeue(proposal)
        for job_return in job_returns:
            _ = job_return.return_value  # raises what a job has raised, which none should

    def end_if_tried_before(self, proposal: Proposal) -> bool:
        """Return whether the run has been tried before; if so, end the trial as that run ended."""
        assert proposal.folder is not None
        value = self.validation_value(proposal.folder)
        pruned_trials = self.study.trials("pruned")
        earlier = next((trial for trial in pruned_trials if trial.user_attrs.get(RUN) == proposal.run), None)
        if value is not None:
            self.end(proposal, "complete", value, tried_before=True)
        elif earlier is not None:
            for step, intermediate_value in earlier.intermediate_values.items():
                proposal.trial.report(intermediate_value, step)
            self.end(proposal, "pruned", tried_before=True)
        elif proposal.run in self.failed_runs:
            self.end(proposal, "fail", tried_before=True)
        return bool(proposal.state)

    def launch_and_watch(self, jobs: list[Proposal]) -> Sequence[Any]:
        """Launch the jobs, prune them meanwhile, and return what the launcher returns."""
        watched = []
        for proposal in jobs:
            assert proposal.folder is not None
            proposal.failed_before = failure_time(proposal.folder)
            proposal.watched = WatchedRun(proposal.folder.path, proposal.trial, self.plan.metric)
            watched.append(proposal.watched)
        first, self.launched = self.launched, self.launched + len(jobs)
        with Watcher(watched):
            return self.launch([self.plan.job_overrides(proposal.overrides) for proposal in jobs], first)

    def end_by_run_folder(self, proposal: Proposal, interrupted: bool) -> None:
        """End a trial by what its run left in its folder; ``interrupted`` says that the launcher has raised."""
        assert proposal.folder is not None
        value = self.validation_value(proposal.folder)
        if value is not None:
            self.end(proposal, "complete", value)
        elif failure_time(proposal.folder) != proposal.failed_before:
            self.end(proposal, "fail")
        elif proposal.watched is not None and proposal.watched.pruned:
            self.end(proposal, "pruned")
        elif interrupted or proposal.folder.has_checkpoint():
            self.requeue(proposal)
        else:
            self.end(proposal, "fail")

    def requeue(self, proposal: Proposal) -> None:
        """Mark a trial as stopped; its parameters come first when the search goes on."""
        self.study.requeue(proposal.trial.number, died=False)
        proposal.state = "stopped"

    def validation_value(self, folder: RunFolder) -> float | None:
        """Return a run's best value in validation, None if it is not finished, NaN if it has no such value."""
        try:
            result = folder.result()
        except DataError as error:
            log.error("%s", error)
            return float("nan")
        if result is not None and self.plan.metric not in result["metrics"]:
            log.error("%s: its result has no %s", folder.path, self.plan.metric)
        return None if result is None else float(result["metrics"].get(self.plan.metric, "nan"))

    def end(self, proposal: Proposal, state: str, value: float | None = None, tried_before: bool = False) -> None:
        """End a trial in the study and log a line; one whose value is not finite has failed."""
        if value is not None and not isfinite(value):
            state, value = "fail", None
        proposal.state = state
        if state == "fail" and proposal.run:
            self.failed_runs.add(proposal.run)
        self.study.tell(proposal.trial, value, state)
        outcome = "failed" if state == "fail" else state if value is None else f"{self.plan.metric} {value:.4f}"
        origin = ", known from an earlier run" if tried_before else ""
        log.info("trial %d: %s%s: %s", proposal.trial.number, outcome, origin, proposal.parameters())
