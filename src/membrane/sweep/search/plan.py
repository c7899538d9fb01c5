"""What a search is asked for: the settings, the space, the metric, checked before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from membrane.config.check import check, resolved, validated
from membrane.config.composer import Composer
from membrane.config.extension import extended
from membrane.config.messages import nearest
from membrane.errors import ConfigError
from membrane.runs.folder import RunFolder
from membrane.schema import Config
from membrane.scores import MONITORS, score_of
from membrane.sweep.jobs import sweeper_search_space
from membrane.sweep.search.space import CategoricalDimension, Dimension, example_jobs
from membrane.sweep.search.study import SearchSettings, refuse_without_optuna, search_digest


@dataclass(frozen=True)
class Plan:
    """What a command line asks for, checked: ``fixed`` overrides, ``hydra`` ones, the space, the metric."""

    composer: Composer
    hydra: list[str]
    fixed: list[str]
    space: dict[str, Dimension]
    settings: SearchSettings
    typical: Config
    metric: str
    config_dir: list[str]

    @classmethod
    def of(cls, composer: Composer, master: DictConfig, typed: Sequence[str]) -> "Plan":
        """ConfigError for what is no search."""
        said = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
        assert isinstance(said, dict)
        settings = validated("hydra.sweeper", SearchSettings, {str(key): value for key, value in said.items()})
        refuse_without_optuna()
        parsed = composer.parse(typed)
        space = sweeper_search_space(composer, settings.params, parsed)
        fixed = [line for line, each in zip(typed, parsed, strict=True) if not each.is_sweep_override()]
        hydra = [str(line) for line in master.hydra.overrides.hydra]
        typical = first_that_runs(composer, [[*hydra, *job] for job in example_jobs(fixed, space)])
        sources = [source.path for source in master.hydra.runtime.config_sources if source.provider == "command-line"]
        config_dir = [word for path in sources for word in ("--config-dir", str(path))]
        return cls(composer, hydra, fixed, space, settings, typical, metric(settings.metric, typical), config_dir)

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optuna's word for what is better."""
        return "minimize" if score_of(self.metric).lower_is_better else "maximize"

    def identity(self) -> str:
        """What is searched: the same for the same experiment, seed, space and metric, however they are typed."""
        space = {name: [repr(value) for value in values(found)] for name, found in self.space.items()}
        return search_digest([RunFolder(self.typical).fingerprint, self.typical.seed, space, self.metric])

    def name(self) -> str:
        """The study's name: the same command goes on with its own study, and no other one mixes in."""
        how = [self.settings.sampler, self.settings.pruner, self.settings.seed]
        return self.settings.study or f"{self.typical.name}-{search_digest([self.identity(), *how])}"

    @property
    def storage(self) -> str:
        """Where the study is kept."""
        return self.settings.storage or str(Path(self.typical.paths.runs) / ".sweeps" / f"{self.name()}.journal")

    def overrides(self, params: dict[str, Any]) -> list[str]:
        """A trial's parameters as overrides."""
        written = {name: self.space[name].key for name in params}
        return [f"{written[name]}={value}" for name, value in params.items()]

    def job(self, overrides: Sequence[str]) -> list[str]:
        """The overrides of one job."""
        return [*self.fixed, *overrides]

    def places_of_files(self) -> list[str]:
        """Where else configuration files are found."""
        return [line for line in self.hydra if line.lstrip("+").startswith("hydra.searchpath=")]

    def configured(self, overrides: Sequence[str]) -> Config:
        """The checked configuration of a trial. ConfigError where it cannot run."""
        return configured(self.composer, [*self.hydra, *self.job(overrides)])


def values(found: Dimension) -> list[Any]:
    """What makes a dimension the one that it is."""
    return (
        list(found.values)
        if isinstance(found, CategoricalDimension)
        else [found.low, found.high, found.step, found.log]
    )


def configured(composer: Composer, overrides: Sequence[str]) -> Config:
    """The checked configuration of one job. ConfigError where it cannot run."""
    own = [line for line in overrides if not line.startswith("hydra")]
    return check(extended(resolved(composer.compose(overrides)), own))


def first_that_runs(composer: Composer, jobs: Sequence[Sequence[str]]) -> Config:
    """The first configuration that is not refused. ConfigError, the first one's, where all are."""
    errors = []
    for job in jobs:
        try:
            return configured(composer, job)
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def metric(said: str | None, config: Config) -> str:
    """The metric to optimise. ConfigError where it is none of validation, or there is no validation, or no result."""
    if config.protocol != "val_best":
        raise ConfigError(f"protocol={config.protocol} has no validation part to optimise: protocol=val_best has")
    if config.debug is not None:
        raise ConfigError("debug: such runs leave no result to learn from; leave it out of a sweep with Optuna")
    if config.rerun:
        raise ConfigError("rerun=true: a search goes on where it is; hydra.sweeper.study=NAME begins another")
    if config.paths.run is not None:
        raise ConfigError(f"paths.run={config.paths.run} cannot hold several runs; leave it out of a sweep")
    found = said or str(config.trainer.monitor)
    known = MONITORS[config.dataset.task]
    if found.startswith(("test", "oracle")):
        raise ConfigError(f"hydra.sweeper.metric={found}: a sweep optimises validation only; valid: {', '.join(known)}")
    if found not in known:
        raise ConfigError(
            f"hydra.sweeper.metric={found}: no such metric{nearest(found, known) or ';'} valid: {', '.join(known)}"
        )
    return found
