"""The plan of a search, from its command line: settings, space and metric, checked before anything starts."""

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
from membrane.tracking.output import conceal


@dataclass(frozen=True)
class Plan:
    """The search that a command line asks for, checked.

    ``composer``: composes the configurations of trials.
    ``hydra``: the overrides of Hydra's own settings.
    ``fixed``: the overrides that all trials share.
    ``space``: the dimensions by setting.
    ``settings``: those of the node ``hydra.sweeper``.
    ``typical``: an example of a trial's configuration, for what all trials have in common.
    ``metric``: the score of validation to optimise.
    ``config_dir``: the words ``--config-dir FOLDER``, if they were typed.
    """

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
        """Return the plan of the overrides ``typed`` and the configuration ``master`` that they compose to.

        Raises ConfigError if they describe no search that can run.
        """
        node = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
        assert isinstance(node, dict)
        settings = validated("hydra.sweeper", SearchSettings, {str(key): value for key, value in node.items()})
        refuse_without_optuna()
        parsed = composer.parse(typed)
        space = sweeper_search_space(composer, settings.params, parsed)
        fixed = [line for line, override in zip(typed, parsed, strict=True) if not override.is_sweep_override()]
        hydra = [str(line) for line in master.hydra.overrides.hydra]
        typical = first_valid_config(composer, [[*hydra, *job] for job in example_jobs(fixed, space)])
        sources = [source.path for source in master.hydra.runtime.config_sources if source.provider == "command-line"]
        config_dir = [word for path in sources for word in ("--config-dir", str(path))]
        return cls(
            composer, hydra, fixed, space, settings, typical, validation_metric(settings.metric, typical), config_dir
        )

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Return the direction in which the metric becomes better, as Optuna calls it."""
        return "minimize" if score_of(self.metric).lower_is_better else "maximize"

    def identity(self) -> str:
        """Return the digest of experiment, seed, space and metric, which is the same however they are typed."""
        space = {name: [repr(value) for value in dimension_values(dimension)] for name, dimension in self.space.items()}
        return search_digest([RunFolder(self.typical).fingerprint, self.typical.seed, space, self.metric])

    def name(self) -> str:
        """Return the study's name: as typed, else one that the same search always has and no other."""
        method = [self.settings.sampler, self.settings.pruner, self.settings.seed]
        return self.settings.study or f"{self.typical.name}-{search_digest([self.identity(), *method])}"

    @property
    def storage(self) -> str:
        """Return where the study is kept: as typed, else a journal among the sweeps."""
        return self.settings.storage or str(Path(self.typical.paths.runs) / ".sweeps" / f"{self.name()}.journal")

    def parameter_overrides(self, params: dict[str, Any]) -> list[str]:
        """Return a trial's parameters as overrides."""
        return [f"{self.space[name].key}={value}" for name, value in params.items()]

    def job_overrides(self, parameters: Sequence[str]) -> list[str]:
        """Return all overrides of a trial's job, given those of its parameters."""
        return [*self.fixed, *parameters]

    def search_path(self) -> list[str]:
        """Return the override, if any, that adds folders of configuration files."""
        return [line for line in self.hydra if line.lstrip("+").startswith("hydra.searchpath=")]

    def trial_config(self, parameters: Sequence[str]) -> Config:
        """Return the checked configuration of a trial. Raises ConfigError if it cannot run."""
        return job_config(self.composer, [*self.hydra, *self.job_overrides(parameters)])


def dimension_values(dimension: Dimension) -> list[Any]:
    """Return the values by which a dimension differs from others of the same setting."""
    if isinstance(dimension, CategoricalDimension):
        return list(dimension.values)
    return [dimension.low, dimension.high, dimension.step, dimension.log]


def job_config(composer: Composer, overrides: Sequence[str]) -> Config:
    """Return the checked configuration of a job. Raises ConfigError if it cannot run."""
    without_hydra = [line for line in overrides if not line.startswith("hydra")]
    config = check(extended(resolved(composer.compose(overrides)), without_hydra))
    conceal(config.environment)
    return config


def first_valid_config(composer: Composer, jobs: Sequence[Sequence[str]]) -> Config:
    """Return the first configuration that is not refused. Raises the first one's ConfigError if all are."""
    errors = []
    for job in jobs:
        try:
            return job_config(composer, job)
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def validation_metric(name: str | None, config: Config) -> str:
    """Return the metric to optimise, by default the one that training monitors.

    Raises ConfigError if it is not measured in validation, or if the runs cannot be compared by it.
    """
    refuse_incomparable_runs(config)
    metric = name or str(config.trainer.monitor)
    valid = MONITORS[config.dataset.task]
    if metric.startswith(("test", "oracle")):
        raise ConfigError(
            f"hydra.sweeper.metric={metric}: a sweep optimises validation only; valid: {', '.join(valid)}"
        )
    if metric not in valid:
        raise ConfigError(
            f"hydra.sweeper.metric={metric}: no such metric{nearest(metric, valid) or ';'} valid: {', '.join(valid)}"
        )
    return metric


def refuse_incomparable_runs(config: Config) -> None:
    """Raise ConfigError if such runs have no validation or no result of their own, or begin anew each time."""
    if config.protocol != "val_best":
        raise ConfigError(f"protocol={config.protocol} has no validation part to optimise: protocol=val_best has")
    if config.debug is not None:
        raise ConfigError("debug: such runs leave no result to learn from; leave it out of a sweep with Optuna")
    if config.rerun:
        raise ConfigError("rerun=true: a search goes on where it is; hydra.sweeper.study=NAME begins another")
    if config.paths.run is not None:
        raise ConfigError(f"paths.run={config.paths.run} cannot hold several runs; leave it out of a sweep")
