"""A study of Optuna's, kept on the disk: what was tried, what it gave, what to try next.

Optuna is imported only where it is used: it is an extra, and the command line reads this file's settings.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PositiveInt

from membrane.errors import ConfigError, one_line
from membrane.files.lock import hold_lock
from membrane.schema.node import Count, Settings
from membrane.sweep.search.space import Choices, Dimension

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)

IDENTITY = "membrane"
"""The attribute of a study that says what it searches."""
REPEATED = "repeated as"
"""The attribute of a trial that did not end by itself and whose parameters are tried again."""
DEATHS = "deaths"
"""The attribute of a trial that counts the processes which died of its parameters, or while they were tried."""
ATTEMPTS = 3


class SearchSettings(Settings):
    """The node ``hydra.sweeper`` under `sweep=optuna`; its defaults stand in `conf/hydra/sweeper/optuna.yaml`."""

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
    """ConfigError where the extra is not installed."""
    if find_spec("optuna") is None:
        raise ConfigError("sweep=optuna needs the package optuna: pip install 'membrane[optuna]'")


def digest(content: Any) -> str:
    """12 hex digits of what is searched and how."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def alone(lock: Path) -> AbstractContextManager[None]:
    """Inside, no other process works on the study, so that a trial which is left running belongs to a dead one."""
    return hold_lock(lock, f"the study {lock.stem}")


def opened(storage: str) -> "BaseStorage":
    """A journal file, or SQLite by its URL. ConfigError where it cannot be opened."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    sqlite = storage.startswith("sqlite:///")
    if "://" in storage and not sqlite:
        raise ConfigError(f"hydra.sweeper.storage={storage}: expected the path of a journal file, or sqlite:///FILE")
    path = Path(storage.removeprefix("sqlite:///"))
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        if sqlite:
            return RDBStorage(storage)
        mend(path)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # of the disk, of SQLAlchemy, of a file that holds something else
        raise ConfigError(f"hydra.sweeper.storage={storage} cannot be opened: {one_line(error)}") from None


def mend(journal: Path) -> None:
    """Remove what a process that died left of a journal: half a last line, and its lock."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if not journal.is_file():
        return
    with journal.open("r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


class Study:
    """A study and how it goes on: `ask` for parameters, `tell` what they gave."""

    def __init__(self, study: "OptunaStudy", space: Mapping[str, Dimension], settings: SearchSettings) -> None:
        self.study = study
        self.distributions = {name: distribution(found) for name, found in space.items()}
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
        """The study of that name, new or as it was left. ConfigError where it searches something else."""
        from optuna import create_study

        kept = opened(storage)
        try:
            study = create_study(
                storage=kept,
                study_name=name,
                direction=direction,
                pruner=pruner(settings.pruner, epochs),
                load_if_exists=True,
            )
            known = study.user_attrs.get(IDENTITY)
            if known is None and not study.trials:
                study.set_user_attr(IDENTITY, known := identity)
        except (ValueError, KeyError, OSError) as error:
            raise ConfigError(f"hydra.sweeper.storage={storage} cannot be read: {one_line(error)}") from None
        if known != identity:
            raise ConfigError(
                f"hydra.sweeper.study={name} holds another search (other settings, space or metric); name a new one"
            )
        return cls(study, space, settings)

    def ask(self) -> "Trial":
        """A trial to run: first those that did not end by themselves, then what the sampler draws.

        What is drawn depends on the seed and on how many were drawn before, whichever process drew them: a study that
        was stopped and goes on tries what it would have tried.
        """
        drawn = sum(REPEATED not in trial.user_attrs for trial in self.study.trials)
        self.study.sampler = sampler(self.settings.sampler, int(digest([self.settings.seed, drawn]), 16) % 2**32)
        return self.study.ask(self.distributions)

    def tell(self, trial: "Trial | int", value: float | None, state: str) -> None:
        """How a trial ended: ``complete`` with its value, ``pruned`` or ``fail``."""
        from optuna.trial import TrialState

        self.study.tell(trial, value, TrialState[state.upper()], skip_if_finished=True)

    def repeat(self, number: int, died: bool) -> bool:
        """Fail a trial that did not end by itself, and put its parameters first; whether that was done.

        ``died``: with its process, which may be the parameters' fault, so that is done only so often.
        """
        from optuna.trial import TrialState

        trial = self.study.trials[number]
        deaths = trial.user_attrs.get(DEATHS, 0) + died
        again = deaths < ATTEMPTS and set(trial.params) == set(self.distributions)
        if again or not trial.params:
            attribute = len(self.study.trials) if again else "nothing"
            self.study._storage.set_trial_user_attr(trial._trial_id, REPEATED, attribute)
        if again:
            self.study.enqueue_trial(trial.params, user_attrs={DEATHS: deaths})
        self.study.tell(number, state=TrialState.FAIL)
        return again

    def forsake(self) -> None:
        """Fail the trials that a dead process left running, one line each; their parameters come first now."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            again = self.repeat(trial.number, died=True)
            then = "its parameters come first now" if again else "its parameters are not tried again"
            log.info("trial %d was left running by a process that is gone: failed; %s", trial.number, then)

    def trials(self, *states: str) -> "list[FrozenTrial]":
        """The trials in these states."""
        from optuna.trial import TrialState

        return self.study.get_trials(states=[TrialState[state.upper()] for state in states])

    def missing(self) -> int:
        """How many trials are to be finished yet: those that failed do not count."""
        return max(0, self.settings.n_trials - len(self.trials("complete", "pruned")))

    def best(self) -> "FrozenTrial | None":
        """The best of the finished trials; a pruned one is none."""
        return self.study.best_trial if self.trials("complete") else None


def distribution(found: Dimension) -> "BaseDistribution":
    """A dimension in Optuna's form."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(found, Choices):
        return CategoricalDistribution(found.values)
    if isinstance(found.low, int) and isinstance(found.high, int):
        return IntDistribution(found.low, found.high, log=found.log, step=int(found.step or 1))
    return FloatDistribution(found.low, found.high, log=found.log, step=found.step)


def sampler(name: str, seed: int) -> "BaseSampler":
    """`tpe`, which learns from the trials so far, or `random`."""
    from optuna.samplers import RandomSampler, TPESampler

    made: dict[str, Callable[..., BaseSampler]] = {"tpe": TPESampler, "random": RandomSampler}
    return made[name](seed=seed)


def pruner(name: str, epochs: int) -> "BasePruner":
    """What ends trials early; epochs are its steps."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

    if name == "hyperband":
        return HyperbandPruner(max_resource=epochs)
    made: dict[str, Callable[[], BasePruner]] = {
        "none": NopPruner,
        "median": MedianPruner,
        "asha": SuccessiveHalvingPruner,
    }
    return made[name]()
