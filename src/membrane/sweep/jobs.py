"""The jobs that a command line asks for: one run, or those of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# hydra-core 1.3.8: only its default sweeper can split a command line into jobs, and it stands in a private module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from membrane.config.composer import Composer, errors_explained, without_hydra
from membrane.config.environment import environment_reads
from membrane.config.files import BASIC_SWEEPER
from membrane.config.limits import require_few_jobs
from membrane.errors import ConfigError
from membrane.sweep.processes import LAUNCHER, launcher_settings
from membrane.sweep.search.space import Dimension, example_jobs, search_space

OPTUNA_SWEEPER = "hydra_plugins.membrane.optuna.OptunaSweeper"


@dataclass(frozen=True)
class Job:
    """A run to do: its overrides as they were typed, and the configuration composed from them, without Hydra's node.

    A ``typical`` job is an example, to be checked but not run, of the jobs that a sweeper will decide on later.
    """

    overrides: list[str]
    config: DictConfig
    typical: bool = False


def jobs_of(composer: Composer, overrides: Sequence[str], multirun: bool) -> tuple[list[Job], bool]:
    """Return every job of a command line, and whether it is a sweep. Raises ConfigError for the first bad one."""
    parsed = composer.parse(overrides)
    if not multirun and not any(override.is_sweep_override() for override in parsed):
        config = composer.load(overrides, RunMode.RUN)
        if config.hydra.mode is not RunMode.MULTIRUN:
            return [job_of(overrides, without_hydra(config))], False
    master = composer.load(overrides, RunMode.MULTIRUN)
    if not multirun and master.hydra.mode is not RunMode.MULTIRUN:
        swept = next(override for override in parsed if override.is_sweep_override())
        key, _, values = swept.input_line.lstrip("+").partition("=")
        raise ConfigError(f"{key}={values}: several values need -m, a sweep; a list is {key}=[{values}]")
    with errors_explained(composer):
        if master.hydra.launcher.get("_target_") == LAUNCHER:
            launcher_settings(master.hydra.launcher)
    return jobs_of_sweep(composer, master, overrides, parsed), True


def jobs_of_sweep(composer: Composer, master: DictConfig, overrides: Sequence[str], parsed: Sequence[Any]) -> list[Job]:
    """Return the jobs of a sweep, or examples of those that its sweeper will decide on later."""
    fixed = [line for line, override in zip(overrides, parsed, strict=True) if not override.is_sweep_override()]
    refuse_environment(master.hydra.sweeper)
    sweeper = master.hydra.sweeper.get("_target_")
    if sweeper == OPTUNA_SWEEPER:
        space = sweeper_search_space(composer, master.hydra.sweeper.get("params"), parsed)
        return [job_of(job, composer.compose(job), typical=True) for job in example_jobs(fixed, space)]
    if sweeper != BASIC_SWEEPER:
        return [typical_job(composer, fixed, parsed)]
    return [
        job_of(job, composer.compose_sweep_job(master, job)) for job in basic_sweeper_jobs(composer, master, parsed)
    ]


def refuse_environment(sweeper: DictConfig) -> None:
    """Raise ConfigError if a sweeper's settings, but for where it stores them, are taken from the environment.

    The jobs' overrides, and the study's name, would show them.
    """
    for key in map(str, sweeper):
        with environment_reads() as reads:
            value = sweeper.get(key)
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
        if reads and key != "storage":
            shown = "the sweep's files show it, so the environment may not give it"
            raise ConfigError(f"hydra.sweeper.{key}: {shown}: let the shell fill it in, as ${reads[0][0]}")


def basic_sweeper_jobs(composer: Composer, master: DictConfig, parsed: Sequence[Any]) -> list[Sequence[str]]:
    """Return the overrides of each job of Hydra's own sweeper. Raises ConfigError if there is none."""
    params = composer.parse([f"{key}={value}" for key, value in (master.hydra.sweeper.get("params") or {}).items()])
    if any(override.key_or_group.split(".")[0] == "trust" for override in params):
        raise ConfigError("hydra.sweeper.params: trust may be said on the command line and in conf/local only")
    for override in (*params, *parsed):
        if override.is_interval_sweep():
            raise ConfigError(f"{override.key_or_group}: an interval is no list of values; sweep=optuna searches in it")
    with errors_explained(composer):
        ours = [override for override in parsed if not override.is_hydra_override()]
        require_few_jobs([*params, *ours])
        [jobs] = BasicSweeper.split_arguments([*params, *ours], max_batch_size=None)
    if not jobs:
        raise ConfigError("the sweep has no job: one of its settings has no value")
    return list(jobs)


def sweeper_search_space(
    composer: Composer, params: Mapping[str, Any] | None, typed: Sequence[Any]
) -> dict[str, Dimension]:
    """Return the search space of `sweep=optuna`, from ``hydra.sweeper.params`` and the overrides that were typed."""
    lines = composer.add_or_override([f"{key}={value}" for key, value in (params or {}).items()])
    return search_space(composer.parse(lines), typed)


def typical_job(composer: Composer, fixed: Sequence[str], parsed: Sequence[Any]) -> Job:
    """Return the job of the fixed overrides, after composing each choice that a sweeper may make later."""
    repository = composer.repository(parsed)
    for override in parsed:
        if override.is_discrete_sweep() and repository.group_exists(override.key_or_group):
            for value in override.sweep_string_iterator():
                composer.load([*fixed, f"{override.get_key_element()}={value}"], RunMode.RUN)
    return job_of(fixed, composer.compose(fixed), typical=True)


def membrane_overrides(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides that are not Hydra's own, without the ``++`` that the composer adds."""
    lines = [line.removeprefix("++") for line in overrides]
    return tuple(line for line in lines if not line.lstrip("+~").startswith(("hydra.", "hydra/")))


def job_of(overrides: Sequence[str], config: DictConfig, typical: bool = False) -> Job:
    """Return the job of a composed configuration, its overrides without the ``++`` that the composer adds."""
    return Job([line.removeprefix("++") for line in overrides], config, typical)
