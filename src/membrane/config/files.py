"""Hydra's loader of configurations, but that it reads each file once, and composes jobs that differ in values once."""

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

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
OF_THE_RUN = ("hydra.mode=", "hydra.sweep.dir=")


class Copies(CachingConfigRepository):
    """Copies of what another repository has read: Hydra composes by changing what it loads."""

    def __init__(self, read: IConfigRepository) -> None:  # Hydra's would copy all of it, and its sources too
        self.delegate = read
        self.cache = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file's content, the same at every call."""
        if config_path not in self.cache:
            self.cache[config_path] = deepcopy(self.delegate.load_config(config_path))
        return self.cache[config_path]


class ConfigFiles(ConfigLoaderImpl):
    """Keeps what Hydra would do again for each job; ``refuse`` raises at a file that says what it may not.

    Reading the files is half of the work, and a sweep composes the same ones for every job.
    """

    def __init__(self, search_path: ConfigSearchPath, refuse: Callable[[ResultDefault, ConfigResult], None]) -> None:
        super().__init__(search_path)
        self.refuse = refuse
        self.read: dict[tuple[str | None, str], IConfigRepository] = {}
        self.made: dict[tuple[str, ...], DictConfig] = {}
        self.alike: dict[tuple[str | None, ...], DictConfig] = {}
        self.merged: dict[tuple[object, ...], DictConfig] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """A job's configuration: we compose it to check it, Hydra to see whether it can, and again to run it.

        What only Hydra's own run of the sweep says, where it lies and that it is one, is written into what was made.
        """
        hydra = master_config.hydra
        if hydra.sweeper.get("_target_") != BASIC_SWEEPER:  # no other composes before it launches
            return super().load_sweep_config(master_config, sweep_overrides)
        said = OmegaConf.to_container(hydra.overrides.hydra)
        assert isinstance(said, list)
        fixed = [line for line in said if not line.startswith(OF_THE_RUN)]
        job = (*fixed, *sweep_overrides)
        if job not in self.made:
            self.made[job] = self.made_anew(master_config, fixed, sweep_overrides)
        composed = deepcopy(self.made[job])
        composed.hydra.mode, composed.hydra.sweep = hydra.mode, hydra.sweep
        composed.hydra.overrides.hydra = hydra.overrides.hydra
        OmegaConf.copy_cache(from_config=master_config, to_config=composed)
        return composed

    def made_anew(self, master_config: DictConfig, fixed: list[str], sweep_overrides: list[str]) -> DictConfig:
        """A job's configuration from the files, or from that of a job whose overrides differ in their values alone."""
        name = master_config.hydra.job.config_name
        parsed, repository = self._parse_overrides_and_create_caching_repo(name, [*fixed, *sweep_overrides])
        overrides = parsed[len(fixed) :]
        values = [each for each in overrides if is_dict(each) or not repository.group_exists(each.key_or_group)]
        if any(is_dict(each) or each.is_add() or each.is_delete() for each in values):  # do not merely replace a value
            return super().load_sweep_config(master_config, sweep_overrides)
        kind = (*fixed, *(each.get_key_element() if each in values else each.input_line for each in overrides))
        if kind not in self.alike:
            self.alike[kind] = super().load_sweep_config(master_config, sweep_overrides)
        return with_values(self.alike[kind], overrides, values)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: Sequence[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        """Overrides in Hydra's form, and the repository of their ``hydra.searchpath``."""
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        places = [line.input_line or "" for line in parsed if line.get_key_element() == "hydra.searchpath"]
        key = (config_name, "".join(places))
        if key not in self.read:
            self.read[key] = super()._parse_overrides_and_create_caching_repo(config_name, places)[1]
        return parsed, Copies(self.read[key])

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        """The configuration that these files make: a run is composed to be checked, and by Hydra, of the same ones."""
        files: tuple[object, ...] = (getattr(repo, "delegate", repo), *map(repr, defaults))
        if files not in self.merged:
            for default in defaults:
                loaded = repo.load_config(default.config_path) if default.config_path else None
                if loaded is not None:
                    self.refuse(default, loaded)
            self.merged[files] = super()._compose_config_from_defaults_list(defaults, repo)
        return deepcopy(self.merged[files])


def is_dict(override: Override) -> bool:
    """Whether its value is a dictionary, which is merged into what is there, even where its key names a group."""
    return isinstance(override.value(), dict)


def with_values(composed: DictConfig, overrides: list[Override], values: list[Override]) -> DictConfig:
    """A job's configuration as Hydra would compose it, of one in which other ``values`` were set by the same keys."""
    config = deepcopy(composed)
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    task = [each for each in overrides if not each.is_hydra_override()]
    job = config.hydra.job
    config.hydra.overrides.task = [each.input_line for each in task]
    job.override_dirname = get_overrides_dirname(task, **job.config.override_dirname)
    return config
