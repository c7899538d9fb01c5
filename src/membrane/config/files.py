"""Hydra's loader of configurations, but that it reads each file once, and composes jobs that differ in values once.

It extends classes and methods that are private to hydra-core 1.3, because there is no public place at which files
are read or merged. `tests/config/test_files.py` compares everything that is composed here with what Hydra's own loader
composes: run it at an upgrade.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from membrane.config.limits import require_small_file
from membrane.errors import ConfigError

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
OF_THE_RUN = ("hydra.mode=", "hydra.sweep.dir=")
"""Overrides that Hydra's run of a sweep adds itself."""


LOADS = 400
"""Times that the files of one configuration are asked for, at most; some 100 are usual."""


class Copies(CachingConfigRepository):
    """Copies of what another repository has read: Hydra composes by changing what it loads."""

    def __init__(self, repository: IConfigRepository) -> None:  # Hydra's would copy all of it, and its sources too
        self.delegate = repository
        self.cache = {}
        self.loads = 0

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a copy of a file's content, the same object at every call; None if there is no file.

        Raises ConfigError if a file is larger than a configuration can need, or if its defaults name files so often.
        """
        self.loads += 1
        if self.loads > LOADS:
            raise ConfigError(f"{config_path}.yaml: the defaults lists name more than {LOADS} files")
        if config_path not in self.cache:
            if config_path not in getattr(self.delegate, "cache", {}):
                require_small_file(self.delegate, config_path)
            self.cache[config_path] = deepcopy(self.delegate.load_config(config_path))
        return self.cache[config_path]


class ConfigFiles(ConfigLoaderImpl):
    """Keeps what Hydra would do again for each job; ``refuse`` raises at a file that sets what it may not.

    Reading the files is half of the work, and a sweep composes the same ones for every job.
    """

    def __init__(self, search_path: ConfigSearchPath, refuse: Callable[[ResultDefault, ConfigResult], None]) -> None:
        super().__init__(search_path)
        self.refuse = refuse
        self.repositories: dict[tuple[str | None, str], IConfigRepository] = {}
        self.jobs: dict[tuple[str, ...], DictConfig] = {}
        self.by_choices: dict[tuple[str | None, ...], DictConfig] = {}
        self.by_files: dict[tuple[object, ...], DictConfig] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return a job's configuration, composed once although it is asked for three times.

        membrane composes it to check it, Hydra once before the sweep and once more to run it. The copy that Hydra gets
        holds the mode and the folder of Hydra's own sweep.
        """
        hydra = master_config.hydra
        if hydra.sweeper.get("_target_") != BASIC_SWEEPER:  # no other composes before it launches
            return super().load_sweep_config(master_config, sweep_overrides)
        hydra_overrides = OmegaConf.to_container(hydra.overrides.hydra)
        assert isinstance(hydra_overrides, list)
        fixed = [line for line in hydra_overrides if not line.startswith(OF_THE_RUN)]
        job = (*fixed, *sweep_overrides)
        if job not in self.jobs:
            self.jobs[job] = self.compose_job(master_config, fixed, sweep_overrides)
        composed = deepcopy(self.jobs[job])
        composed.hydra.mode, composed.hydra.sweep = hydra.mode, hydra.sweep
        composed.hydra.overrides.hydra = hydra.overrides.hydra
        OmegaConf.copy_cache(from_config=master_config, to_config=composed)
        return composed

    def compose_job(self, master_config: DictConfig, fixed: list[str], sweep_overrides: list[str]) -> DictConfig:
        """Return a job's configuration, from the files or from a job whose overrides differ in their values alone."""
        name = master_config.hydra.job.config_name
        parsed, repository = self._parse_overrides_and_create_caching_repo(name, [*fixed, *sweep_overrides])
        overrides = parsed[len(fixed) :]
        values = [each for each in overrides if sets_dict(each) or not repository.group_exists(each.key_or_group)]
        if any(sets_dict(each) or each.is_add() or each.is_delete() for each in values):  # more than a value replaced
            return super().load_sweep_config(master_config, sweep_overrides)
        choices = (*fixed, *(each.get_key_element() if each in values else each.input_line for each in overrides))
        if choices not in self.by_choices:
            self.by_choices[choices] = super().load_sweep_config(master_config, sweep_overrides)
        return with_values(self.by_choices[choices], overrides, values)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: Sequence[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        """Return overrides in Hydra's form, and copies from the one repository of their ``hydra.searchpath``."""
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        search_paths = [line.input_line or "" for line in parsed if line.get_key_element() == "hydra.searchpath"]
        key = (config_name, "".join(search_paths))
        if key not in self.repositories:
            self.repositories[key] = super()._parse_overrides_and_create_caching_repo(config_name, search_paths)[1]
        return parsed, Copies(self.repositories[key])

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        """Return what these files compose to, merged once: a run is composed to be checked, and again by Hydra."""
        files: tuple[object, ...] = (getattr(repo, "delegate", repo), *map(repr, defaults))
        if files not in self.by_files:
            for default in defaults:
                loaded = repo.load_config(default.config_path) if default.config_path else None
                if loaded is not None:
                    self.refuse(default, loaded)
            self.by_files[files] = super()._compose_config_from_defaults_list(defaults, repo)
        return deepcopy(self.by_files[files])


def sets_dict(override: Override) -> bool:
    """Return whether an override's value is a dictionary, which is merged even where its key names a group."""
    return isinstance(override.value(), dict)


def with_values(composed: DictConfig, overrides: list[Override], values: list[Override]) -> DictConfig:
    """Return a job's configuration as Hydra would compose it, of one in which the same keys have other ``values``."""
    config = deepcopy(composed)
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    task = [override for override in overrides if not override.is_hydra_override()]
    job = config.hydra.job
    config.hydra.overrides.task = [override.input_line for override in task]
    job.override_dirname = get_overrides_dirname(task, **job.config.override_dirname)
    return config
