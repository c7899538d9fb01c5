"""A search with Optuna over runs: propose, run, learn from the validation values, and say which command was the best.

Everything about a run is read from its folder, so it is the same under every launcher, and a run that is finished
already is used again. The test set is no part of it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from membrane.errors import ConfigError, DataError, RunFailed
from membrane.runs.folder import RunFolder
from membrane.schema.secrets import masked_override
from membrane.sweep.search.plan import Plan
from membrane.sweep.search.pruning import Progress, Watcher
from membrane.sweep.search.study import Study, hold_study
from membrane.sweep.search.verdict import tell_verdict
from membrane.tracking.log import silence_libraries

if TYPE_CHECKING:
    from optuna.trial import Trial

log = logging.getLogger(__name__)
FAILURES = 5
"""So many failed trials in a row end a search: something is wrong with all of them."""
RUN = "run"
"""The attribute of a trial that names its run: fingerprint and seed."""

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[Any]]


def search(plan: Plan, launch: Launch, at_once: int) -> None:
    """Go on with the plan's study until it is complete, ``at_once`` jobs in a batch, and say what was the best."""
    import optuna  # noqa: F401 - before `silence_libraries`, which silences it

    name, storage = plan.name(), plan.storage
    with silence_libraries(), hold_study(Path(storage.removeprefix("sqlite:///")).parent / f"{name}.lock"):
        study = Study.open(
            name, plan.identity(), storage, plan.direction, plan.space, plan.settings, plan.typical.epochs
        )
        log.info("study %s in %s: %d of %d trials to go", name, storage, study.remaining(), plan.settings.n_trials)
        try:
            Search(plan, study, launch, plan.settings.n_jobs or at_once).run()
        finally:
            tell_verdict(plan, study)


@dataclass
class Proposal:
    """A trial as a job: its overrides, and its run's folder or why it was refused; ``state`` once it has ended."""

    trial: "Trial"
    overrides: list[str]
    folder: RunFolder | None = None
    state: str = ""
    failure: int = 0
    progress: Progress | None = None

    @property
    def run(self) -> str:
        """The run's name, the same wherever its folder lies."""
        return "" if self.folder is None else f"{self.folder.fingerprint}/seed{self.folder.seed}"

    def said(self) -> str:
        """The parameters, as they would be typed."""
        return " ".join(masked_override(line.removeprefix("++")) for line in self.overrides)


class Search:
    """Proposes batches of jobs, launches them, and tells the study how they ended."""

    def __init__(self, plan: Plan, study: Study, launch: Launch, at_once: int) -> None:
        self.plan = plan
        self.study = study
        self.launch = launch
        self.at_once = at_once
        self.launched = 0
        self.failed: set[str] = set()
        self.refused = 0

    def run(self) -> None:
        """Until so many trials are finished. RunFailed where too many fail in a row, or some were refused."""
        self.study.requeue_abandoned()
        in_a_row = 0
        while (missing := self.study.remaining()) > 0:
            batch = [self.proposal() for _ in range(min(self.at_once, missing))]
            self.try_out(batch)
            for each in batch:
                in_a_row = in_a_row + 1 if each.state == "fail" else 0
            if any(each.state == "stopped" for each in batch):
                log.info("a run was stopped before its end: start the search again to go on")
                return
            if in_a_row >= FAILURES:
                raise RunFailed(f"{in_a_row} trials failed one after the other; the search ends here")
        if self.refused:
            raise RunFailed(f"{self.refused} trials were refused")

    def proposal(self) -> Proposal:
        """The next trial as a job; one that cannot be configured has failed."""
        trial = self.study.ask()
        made = Proposal(trial, self.plan.overrides(trial.params))
        try:
            made.folder = RunFolder(self.plan.configured(made.overrides))
        except ConfigError as error:
            log.error("trial %d refused: %s: %s", trial.number, made.said(), error)
            self.refused += 1
            self.end(made, "fail")
        else:
            trial.set_user_attr(RUN, made.run)
        return made

    def try_out(self, batch: list[Proposal]) -> None:
        """Run what is not known yet, each run once, and tell how all ended, even where the process is told to stop."""
        jobs: dict[str, Proposal] = {}
        for each in batch:
            if not each.state and not self.known(each):
                jobs.setdefault(each.run, each)
        if not jobs:
            return
        returns = None
        try:
            returns = self.launch_and_watch(list(jobs.values()))
        finally:
            for each in jobs.values():
                self.settle(each, broken_off=returns is None)
            for each in batch:
                if not each.state and not self.known(each):  # another's run, and that one was stopped
                    self.stopped(each)
        for each_return in returns:
            _ = each_return.return_value  # raises what no job should

    def known(self, each: Proposal) -> bool:
        """Whether the run has been tried before: it is not run again, and the trial ends as it did."""
        assert each.folder is not None
        value = self.value(each.folder)
        earlier = next((t for t in self.study.trials("pruned") if t.user_attrs.get(RUN) == each.run), None)
        if value is not None:
            self.end(each, "complete", value, again=True)
        elif earlier is not None:
            for step, seen in earlier.intermediate_values.items():
                each.trial.report(seen, step)
            self.end(each, "pruned", again=True)
        elif each.run in self.failed:
            self.end(each, "fail", again=True)
        return bool(each.state)

    def launch_and_watch(self, jobs: list[Proposal]) -> Sequence[Any]:
        """One batch of jobs, under whatever launcher."""
        for each in jobs:
            assert each.folder is not None
            each.failure = failure(each.folder)
            each.progress = Progress(each.folder.path, each.trial, self.plan.metric)
        first, self.launched = self.launched, self.launched + len(jobs)
        with Watcher(each.progress for each in jobs if each.progress is not None):
            return self.launch([self.plan.job(each.overrides) for each in jobs], first)

    def settle(self, each: Proposal, broken_off: bool) -> None:
        """Tell how a trial ended, by what its run left; ``broken_off``: the launcher did not end by itself."""
        assert each.folder is not None
        value = self.value(each.folder)
        if value is not None:
            self.end(each, "complete", value)
        elif failure(each.folder) != each.failure:
            self.end(each, "fail")
        elif each.progress is not None and each.progress.pruned:
            self.end(each, "pruned")
        elif broken_off or each.folder.has_checkpoint():
            self.stopped(each)
        else:
            self.end(each, "fail")

    def stopped(self, each: Proposal) -> None:
        """A trial that did not end: its parameters come first when the search goes on."""
        self.study.requeue(each.trial.number, died=False)
        each.state = "stopped"

    def value(self, folder: RunFolder) -> float | None:
        """The best validation value of a finished run; None where it is not finished, NaN where it has none."""
        try:
            result = folder.result()
        except DataError as error:
            log.error("%s", error)
            return float("nan")
        return None if result is None else float(result["metrics"].get(self.plan.metric, "nan"))

    def end(self, each: Proposal, state: str, value: float | None = None, again: bool = False) -> None:
        """Tell the study, and the person in one line."""
        if value is not None and not isfinite(value):
            state, value = "fail", None
        each.state = state
        if state == "fail" and each.run:
            self.failed.add(each.run)
        self.study.tell(each.trial, value, state)
        how = state if value is None else f"{self.plan.metric} {value:.4f}"
        before = ", known from an earlier run" if again else ""
        log.info("trial %d: %s%s: %s", each.trial.number, {"fail": "failed"}.get(how, how), before, each.said())


def failure(folder: RunFolder) -> int:
    """When the run failed last, in nanoseconds; 0 where it did not."""
    try:
        return (folder.path / "FAILED.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0
