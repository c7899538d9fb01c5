"""A study of Optuna's, kept on the disk: the trials so far with their values, and the choice of the next one.

Optuna is imported only in the functions that use it: it is an extra, and every command line imports this module.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PositiveInt

from membrane.config.installation import install_command
from membrane.errors import ConfigError, one_line
from membrane.files.lock import hold_lock
from membrane.files.regular import irregular, open_regular
from membrane.schema.node import Count, Settings
from membrane.sweep.search.space import CategoricalDimension, Dimension

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)

LONGEST_LINE = 1 << 20
"""Bytes in a line of a journal, at most."""
IDENTITY = "membrane"
"""The attribute of a study with the digest of what it searches."""
REQUEUED = "repeated as"
"""The attribute of a trial that was interrupted and whose parameters are tried again as another one."""
DEATHS = "deaths"
"""The attribute of a trial that counts the processes that died while they tried its parameters."""
MAX_DEATHS = 3
"""Parameters are given up after so many processes have died while they tried them."""


class SearchSettings(Settings):
    """The node ``hydra.sweeper`` under `sweep=optuna`; its defaults stand in `conf/hydra/sweeper/optuna.yaml`.

    ``target``: the class of the sweeper.
    ``n_trials``: the number of trials of the whole search, failed ones not counted.
    ``n_jobs``: the number of trials in a batch; None for as many as the launcher runs at once.
    ``metric``: the score of validation to optimise; None for the one that training monitors.
    ``sampler``: the way in which parameters are drawn.
    ``pruner``: the rule by which trials end early.
    ``seed``: that of the sampler.
    ``storage``: the path of a journal, or `sqlite:///FILE`; None for a journal under ``paths.runs``.
    ``study``: the study's name; None for one that follows from what is searched.
    ``params``: the search space by setting, in Hydra's syntax; what is typed comes before it.
    """

    target: str = Field(alias="_target_")
    n_trials: PositiveInt
    n_jobs: PositiveInt | None
    metric: str | None
    sampler: Literal["tpe", "random"]
    pruner: Literal["none", "median", "hyperband", "asha"]
    seed: Count
    storage: str | None
    study: str | None = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    params: dict[str, Any] | None


def refuse_without_optuna() -> None:
    """Raise ConfigError if Optuna is not installed."""
    if find_spec("optuna") is None:
        raise ConfigError(f"sweep=optuna needs the package optuna: {install_command('optuna')}")


def search_digest(content: Any) -> str:
    """Return the SHA-256, 12 hex digits, of the canonical JSON of ``content``."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def hold_study(lock: Path) -> AbstractContextManager[None]:
    """Keep other processes from the study, so that a trial found running is one whose process has died.

    Raises Occupied if another process holds it.
    """
    return hold_lock(lock, f"the study {lock.stem}")


def open_storage(storage: str) -> "BaseStorage":
    """Open the journal file or the SQLite URL that ``storage`` names. Raises ConfigError if it cannot be opened."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    sqlite = storage.startswith("sqlite:///")
    if "://" in storage and not sqlite:
        raise ConfigError(f"hydra.sweeper.storage={storage}: expected the path of a journal file, or sqlite:///FILE")
    path = Path(storage.removeprefix("sqlite:///"))
    try:
        if (reason := irregular(path)) is not None:  # a link would be written through
            raise OSError(reason.strerror)
        path.parent.mkdir(parents=True, exist_ok=True)
        if sqlite:
            return RDBStorage(storage)
        repair_journal(path)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # of the disk, of SQLAlchemy, of a file that holds something else
        raise ConfigError(f"hydra.sweeper.storage={storage} cannot be opened: {one_line(error)}") from None


def repair_journal(journal: Path) -> None:
    """Remove what a process that died may have left of a journal: an unfinished last line, and a lock.

    Raises ValueError if it is no journal: the line would be too long.
    """
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if not journal.is_file():
        return
    with open(journal, "r+b", opener=open_regular) as file:
        start = file.seek(max(file.seek(0, os.SEEK_END) - LONGEST_LINE, 0))
        complete = file.read(LONGEST_LINE).rfind(b"\n") + 1
        if start and not complete:
            raise ValueError("its last line is longer than any that a search writes")
        file.truncate(start + complete)


class Study:
    """A study: `ask` gives the parameters of the next trial, `tell` takes their value."""

    def __init__(self, study: "OptunaStudy", space: Mapping[str, Dimension], settings: SearchSettings) -> None:
        self.study = study
        self.distributions = {name: optuna_distribution(dimension) for name, dimension in space.items()}
        self.settings = settings

    @classmethod
    def open(
        cls,
        name: str,
        identity: str,
        storage: str,
        direction: Literal["minimize", "maximize"],
        space: Mapping[str, Dimension],
        settings: SearchSettings,
        epochs: int,
    ) -> Self:
        """Open the study, or create it if there is none. Raises ConfigError if it is of another search.

        ``name``: the study's name in the storage.
        ``identity``: the digest of experiment, seed, space and metric, by which another search is told.
        ``storage``: the path of a journal file, or `sqlite:///FILE`.
        ``direction``: the better direction of the metric, as Optuna calls it.
        ``space``: the dimensions by setting.
        ``settings``: those of the sampler, the pruner and the number of trials.
        ``epochs``: the epochs of a whole run, which are the steps of the pruner.
        """
        from optuna import create_study

        opened = open_storage(storage)
        try:
            study = create_study(
                storage=opened,
                study_name=name,
                direction=direction,
                pruner=build_pruner(settings.pruner, epochs),
                load_if_exists=True,
            )
            recorded = study.user_attrs.get(IDENTITY)
            if recorded is None and not study.trials:
                study.set_user_attr(IDENTITY, recorded := identity)
        except Exception as error:  # whatever Optuna raises for entries of a journal that it did not write
            raise ConfigError(f"hydra.sweeper.storage={storage} cannot be read: {one_line(error)}") from None
        if recorded != identity:
            raise ConfigError(
                f"hydra.sweeper.study={name} holds another search (other settings, space or metric); name a new one"
            )
        return cls(study, space, settings)

    def ask(self) -> "Trial":
        """Return a trial to run: first those that were interrupted, then what the sampler draws.

        The sampler's seed follows from the settings and from the number of trials drawn before, in whatever process, so
        a search that was stopped and goes on draws what it would have drawn.
        """
        drawn = sum(REQUEUED not in trial.user_attrs for trial in self.study.trials)
        seed = int(search_digest([self.settings.seed, drawn]), 16) % 2**32
        self.study.sampler = build_sampler(self.settings.sampler, seed)
        return self.study.ask(self.distributions)

    def tell(self, trial: "Trial | int", value: float | None, state: str) -> None:
        """Record that a trial ended as ``complete`` with a value, as ``pruned`` or as ``fail``."""
        from optuna.trial import TrialState

        self.study.tell(trial, value, TrialState[state.upper()], skip_if_finished=True)

    def requeue(self, number: int, died: bool) -> bool:
        """Record an interrupted trial as failed, queue its parameters as the next trial, and return whether they are.

        ``died`` says that its process died, which the parameters may have caused: MAX_DEATHS times, and they are not
        queued again.
        """
        from optuna.trial import TrialState

        trial = self.study.trials[number]
        deaths = trial.user_attrs.get(DEATHS, 0) + died
        queued = deaths < MAX_DEATHS and set(trial.params) == set(self.distributions)
        if queued or not trial.params:
            attribute = len(self.study.trials) if queued else "nothing"
            # Optuna 5.0.0: only the storage, by its own number, lets an attribute be set on a trial of another process
            self.study._storage.set_trial_user_attr(trial._trial_id, REQUEUED, attribute)
        if queued:
            self.study.enqueue_trial(trial.params, user_attrs={DEATHS: deaths})
        self.study.tell(number, state=TrialState.FAIL)
        return queued

    def requeue_abandoned(self) -> None:
        """Requeue the trials whose processes died, and log a line for each."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            queued = self.requeue(trial.number, died=True)
            then = "its parameters come first now" if queued else "its parameters are not tried again"
            log.info("trial %d was left running by a process that is gone: failed; %s", trial.number, then)

    def trials(self, *states: str) -> "list[FrozenTrial]":
        """Return the trials in these states, in order."""
        from optuna.trial import TrialState

        return self.study.get_trials(states=[TrialState[state.upper()] for state in states])

    def remaining(self) -> int:
        """Return the number of trials to go until ``n_trials`` are complete or pruned; failed ones do not count."""
        return max(0, self.settings.n_trials - len(self.trials("complete", "pruned")))

    def best(self) -> "FrozenTrial | None":
        """Return the best of the complete trials, or None if there is none."""
        return self.study.best_trial if self.trials("complete") else None


def optuna_distribution(dimension: Dimension) -> "BaseDistribution":
    """Return a dimension in Optuna's form."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, CategoricalDimension):
        return CategoricalDistribution(dimension.values)
    low, high = dimension.low, dimension.high
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=dimension.log, step=int(dimension.step or 1))
    return FloatDistribution(low, high, log=dimension.log, step=dimension.step)


def build_sampler(name: str, seed: int) -> "BaseSampler":
    """Return the sampler: `tpe`, which learns from the trials so far, or `random`."""
    from optuna.samplers import RandomSampler, TPESampler

    classes: dict[str, Callable[..., BaseSampler]] = {"tpe": TPESampler, "random": RandomSampler}
    return classes[name](seed=seed)


def build_pruner(name: str, epochs: int) -> "BasePruner":
    """Return the pruner, whose steps are the epochs of a run."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

    if name == "hyperband":
        return HyperbandPruner(max_resource=epochs)
    classes: dict[str, Callable[[], BasePruner]] = {
        "none": NopPruner,
        "median": MedianPruner,
        "asha": SuccessiveHalvingPruner,
    }
    return classes[name]()
