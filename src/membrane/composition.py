"""What Hydra composes for a command line, read before Hydra's own main runs.

Hydra builds callbacks and logging configurations before it calls the task, so what a file may not say is refused here:
only `conf/train.yaml`, `conf/hydra`, `conf/sweep` and the command line may touch the ``hydra`` node, and only the
command line and `conf/local` may name trusted classes.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from membrane.errors import ConfigError

PRIMARY = "train"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def folder() -> Path:
    """The configuration folder: beside the package where it was installed, in the repository otherwise."""
    installed = Path(__file__).parent / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "conf"


@dataclass(frozen=True)
class Job:
    """One run to come: its overrides and what they compose to, the ``hydra`` node left out."""

    overrides: list[str]
    config: DictConfig


class Composer:
    """Composes configurations from `conf/` and, where given, a folder of the user's."""

    def __init__(self, config_dir: str | None = None) -> None:
        search_path = create_automatic_config_search_path(None, None, str(folder()))
        if config_dir is not None:
            if not Path(config_dir).is_dir():
                raise ConfigError(f"--config-dir: {config_dir} is not a folder")
            search_path.prepend(provider="command-line", path=f"file://{Path(config_dir).resolve()}")
        self.loader = ConfigLoaderImpl(config_search_path=search_path)

    def free(self, overrides: Sequence[str]) -> list[str]:
        """Overrides of values as ``++key=value``: which keys exist is the schema's business (`config.check`)."""
        freed = []
        for line in overrides:
            override = self.parsed([line])[0]
            plain = override.type is not None and override.type.name == "CHANGE" and not override.package
            is_group = self.loader.repository.group_exists(override.key_or_group)
            freed.append(f"++{line}" if plain and not is_group else line)
        return freed

    def parsed(self, overrides: Sequence[str]) -> list[Any]:
        """Overrides in Hydra's form. ConfigError where one cannot be read."""
        try:
            return list(OverridesParser.create(config_loader=self.loader).parse_overrides(list(overrides)))
        except (OverrideParseException, HydraException) as error:
            raise ConfigError(f"{overrides[0]!r} cannot be read: {one_line(error)}; write key=value") from None

    def jobs(self, overrides: Sequence[str], multirun: bool) -> tuple[list[Job], bool]:
        """Every job that a command line asks for, and whether it is a sweep. ConfigError for the first bad one."""
        master = self.load(overrides, RunMode.MULTIRUN)
        multirun = multirun or str(master.hydra.mode) == "RunMode.MULTIRUN"
        if not multirun:
            return [self.job(overrides)], False
        if master.hydra.sweeper.get("_target_") != BASIC_SWEEPER:
            fixed = [line for line, parsed in zip(overrides, self.parsed(overrides), strict=True) if not parsed.is_sweep_override()]
            return [self.job(fixed)], True
        params = [f"{key}={value}" for key, value in (master.hydra.sweeper.get("params") or {}).items()]
        parsed = self.parsed([*self.free(params), *overrides]) if params or overrides else []
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
        return [self.job(job) for job in batches[0]], True

    def job(self, overrides: Sequence[str]) -> Job:
        """One job, composed; the files that it is composed from are looked through first."""
        self.inspect(overrides)
        config = self.load(overrides, RunMode.RUN)
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        return Job(list(overrides), config)

    def load(self, overrides: Sequence[str], mode: RunMode) -> DictConfig:
        """The whole composed configuration."""
        try:
            return self.loader.load_configuration(PRIMARY, list(overrides), run_mode=mode)
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise ConfigError(self.explained(error)) from None

    def explained(self, error: Exception) -> str:
        """One line for what Hydra could not compose: the mistake, the valid choices, the nearest match."""
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            group, _, name = error.missing_cfg_file.rpartition("/")
            options = sorted(error.options or [])
            near = difflib.get_close_matches(name, options, n=1)
            hint = f"; did you mean {group}={near[0]}?" if near else ";"
            if not options:
                return f"{group or name}: no such group; valid groups: {', '.join(self.groups())}"
            return f"{group}={name}: no such choice{hint} valid: {', '.join(options)}"
        cause = error.__cause__ if isinstance(error, ConfigCompositionException) and not str(error) else error
        return one_line(cause or error)

    def groups(self) -> list[str]:
        """The groups of `conf/` that have choices."""
        return sorted(group for group in self.loader.list_groups("") if group != "hydra")

    def inspect(self, overrides: Sequence[str]) -> None:
        """Refuse files that say what only `conf/train.yaml`, `conf/hydra`, `conf/sweep` and the command line may."""
        try:
            defaults = self.loader.compute_defaults_list(PRIMARY, list(overrides), RunMode.RUN).defaults
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise ConfigError(self.explained(error)) from None
        for default in defaults:
            path = default.config_path or ""
            loaded = self.loader.repository.load_config(path) if path else None
            if loaded is None or path.startswith("_dummy_"):
                continue
            foreign = loaded.provider == "command-line" or loaded.provider.startswith("hydra.searchpath")
            if not foreign and (path == PRIMARY or path.startswith(("hydra/", "sweep/"))):
                continue
            package = default.package or ""
            content = loaded.config if OmegaConf.is_dict(loaded.config) else {}
            if path.startswith("hydra/") or package.split(".")[0] == "hydra" or (not package and "hydra" in content):
                raise ConfigError(f"{path}.yaml: only the command line, conf/train.yaml, conf/hydra and conf/sweep may set hydra")
            for entry in loaded.defaults_list or []:
                if any("hydra" in said or "${" in said for said in group_and_package(entry)):
                    raise ConfigError(f"{path}.yaml: its defaults may not choose {' '.join(group_and_package(entry))}")
            if not package and "trust" in content and not path.startswith("local/"):
                raise ConfigError(f"{path}.yaml: trust may be said on the command line and in conf/local only")


def group_and_package(entry: Any) -> Iterator[str]:
    """The group or path and the package of one entry of a defaults list, as written."""
    for said in (getattr(entry, "group", None), getattr(entry, "path", None), entry.package):
        if said:
            yield str(said)


def one_line(error: BaseException) -> str:
    """The first sentence of a library's error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
