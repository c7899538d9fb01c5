"""What Hydra composes for a command line, read before Hydra's own main runs.

Hydra builds callbacks and logging configurations before it calls the task, so what a file may not say is refused here:
only `conf/train.yaml`, `conf/hydra`, `conf/sweep` and the command line may touch the ``hydra`` node, and only the
command line and `conf/local` may name trusted classes.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from membrane.config.files import ConfigFiles
from membrane.config.messages import nearest, no_choice, unknown
from membrane.errors import ConfigError, one_line
from membrane.schema import GROUPS, MANY, Config
from membrane.schema.secrets import masked, masked_override

PRIMARY = "train"
HYDRA_VERSION = "1.3"
"""Whose rules of composition hold, here and in Hydra's main."""
SAYS_HYDRA = re.compile(r"(^|[/.@:\[])hydra($|[/.@:\]\[])")
WHOLE = ("experiment", "sweep", "debug", "local")
"""Groups whose files speak of the whole configuration."""


def folder() -> Path:
    """The configuration folder: beside the package where it was installed, in the repository otherwise."""
    installed = Path(__file__).parents[1] / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "conf"


class Composer:
    """Composes configurations from `conf/` and, where given, a folder of the user's."""

    def __init__(self, config_dir: str | None = None) -> None:
        version.setbase(HYDRA_VERSION)  # Hydra's main does so too, but only after what is composed here
        search_path = create_automatic_config_search_path(None, None, str(folder()))
        if config_dir is not None:
            if not Path(config_dir).is_dir():
                raise ConfigError(f"--config-dir: {config_dir} is not a folder")
            # where Hydra's main puts it too: after conf/, so that its files add to ours and replace none
            place = SearchPathQuery(provider="schema")
            search_path.prepend(provider="command-line", path=f"file://{Path(config_dir).resolve()}", anchor=place)
        self.loader: ConfigLoaderImpl = ConfigFiles(search_path, refuse)

    def free(self, overrides: Sequence[str]) -> list[str]:
        """Overrides of values as ``++key=value``: which keys exist is the schema's business (`config.check`).

        The ``+`` that Hydra wants for a choice beside `conf/train.yaml`'s is dropped where there is one to replace.
        """
        freed, parsed = [], self.parsed(overrides)
        is_group = self.repository(parsed).group_exists
        primary = self.repository([]).load_config(PRIMARY)
        ours = {getattr(entry, "group", None) for entry in (primary and primary.defaults_list) or []}
        for line, override in zip(overrides, parsed, strict=True):
            key = override.key_or_group
            if override.type.name == "DEL" or override.package or key.startswith("hydra."):
                freed.append(line)
            elif "/" in key or key in WHOLE or (is_group(key) and not isinstance(override.value(), dict)):
                freed.append(line.lstrip("+") if key in ours else line)
            else:
                freed.append(f"++{in_full(line.lstrip('+'), override)}")
        return freed

    def parsed(self, overrides: Sequence[str]) -> list[Any]:
        """Overrides in Hydra's form. ConfigError where one cannot be read."""
        try:
            return list(OverridesParser.create(config_loader=self.loader).parse_overrides(list(overrides)))
        except OverrideParseException as error:
            raise ConfigError(self.unreadable(error.override, str(error))) from None

    def unreadable(self, line: str, said: str) -> str:
        """What is wrong with an override that has no meaning."""
        if "=" not in line:
            found = [f"{group}={line}" for group in self.groups() if line in self.loader.get_group_options(group)]
            meant = f"; did you mean {found[0]}?" if found else ""
            return f"{line!r}: write setting=value or group=choice, without spaces{meant}"
        reasons = (each.split(" expecting")[0] for each in said.splitlines() if " input " in each)
        reason = next(reasons, "a stray character")
        return f"{line!r} cannot be read ({reason}): quote what is special, as in key='\"a b\"'"

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a single run, without Hydra's node."""
        return without_hydra(self.load(overrides, RunMode.RUN))

    def compose_sweep_job(self, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of one job of a sweep as Hydra will compose it, without Hydra's node."""
        parsed = self.parsed(overrides)
        refuse_no_names(parsed, self.repository(parsed))
        with composing(self):
            return without_hydra(self.loader.load_sweep_config(master, list(overrides)))

    def load(self, overrides: Sequence[str], mode: RunMode) -> DictConfig:
        """The whole composed configuration; what names nothing is refused, and what its files may not say."""
        parsed = [each for each in self.parsed(overrides) if not each.is_sweep_override()]
        refuse_no_names(parsed, self.repository(parsed))
        with composing(self):
            return self.loader.load_configuration(PRIMARY, list(overrides), run_mode=mode)

    def whole(self, overrides: Sequence[str], part: str) -> dict[str, Any]:
        """What ``--cfg all`` and ``--cfg hydra`` show: Hydra's node as composed, and the rest; secrets masked."""
        composed = OmegaConf.to_container(self.load(overrides, RunMode.RUN), enum_to_str=True)
        assert isinstance(composed, dict)
        said = composed["hydra"]["overrides"]
        composed["hydra"]["overrides"] = {key: [masked_override(line) for line in lines] for key, lines in said.items()}
        named = composed["hydra"]["job"]["override_dirname"].split(",")
        composed["hydra"]["job"]["override_dirname"] = ",".join(masked_override(line) for line in named)
        return {str(key): masked(str(key), value) for key, value in composed.items() if part == "all" or key == part}

    def explained(self, error: Exception) -> str:
        """One line for what Hydra could not compose: the mistake, the valid choices, the nearest match."""
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            found = re.match(r"In '(.+)': Could not (find|load)", str(error))
            parent = f"{found[1]}.yaml: " if found and found[1] not in (PRIMARY, "hydra/config") else ""
            group, _, name = error.missing_cfg_file.rpartition("/")
            options = error.options or self.loader.get_group_options(group) if group else []
            if group and (options or group in WHOLE):
                return parent + no_choice(group, name, options)
            group, known = group or name, self.groups()
            return f"{parent}{group}: no such group{nearest(group, known) or ';'} valid: {', '.join(known)}"
        if isinstance(error, YAMLError):
            mark = getattr(error, "problem_mark", None)
            where = f"{Path(mark.name).name}, line {mark.line + 1}: " if mark else ""
            return f"{where}{getattr(error, 'problem', None) or one_line(error)}"
        lines = [*str(error).splitlines()[:2], *str(error.__cause__ or "").splitlines()[:1]]
        said = ": ".join(dict.fromkeys(line.strip().rstrip(".:") for line in lines if line.strip()))
        if of_launcher := re.match(r"Could not override '(hydra\.launcher\.\w+)'.* not in 'BasicLauncherConf'", said):
            return f"{of_launcher[1]}: the launcher that is chosen has no settings; hydra/launcher=processes has"
        speaks = said and isinstance(error, HydraException | OmegaConfBaseException)
        return said if speaks else f"{type(error).__name__}: {said}"

    def groups(self) -> list[str]:
        """The groups that have choices."""
        return sorted(group for group in self.loader.list_groups("") if group not in ("hydra", "local"))

    def repository(self, parsed: Sequence[Any]) -> IConfigRepository:
        """Where the files of a command line are found, a ``hydra.searchpath`` of its own included."""
        lines = [override.input_line for override in parsed if override.key_or_group == "hydra.searchpath"]
        with composing(self):
            return self.loader._parse_overrides_and_create_caching_repo(PRIMARY, lines)[1]


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a composed configuration after removing Hydra's node from it."""
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    return config


def in_full(line: str, override: Any) -> str:
    """A setting as the schema knows it: ``init=PATH`` is short for ``init.path=PATH``, and so with ``extend``."""
    key = override.key_or_group
    short = key in ("init", "extend") and not isinstance(override.value(), dict | None)
    return line.replace(f"{key}=", f"{key}.path=", 1) if short else line


@contextmanager
def composing(composer: Composer) -> Iterator[None]:
    """Inside, whatever Hydra raises is a mistake in an override or a file: one line."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # Hydra reports them as its own exceptions, OmegaConf's, ValueError, AssertionError …
        raise ConfigError(composer.explained(error)) from None


def refuse_no_names(parsed: Sequence[Any], repository: IConfigRepository) -> None:
    """ConfigError for an override that chooses or removes what cannot be chosen or removed."""
    for override in parsed:
        key, value = override.key_or_group, override.value()
        said, group = override.get_value_element_as_str(), repository.group_exists(key)
        if not key:
            raise ConfigError(f"{override.input_line!r}: write setting=value or group=choice")
        if override.is_delete():
            if not group and key.split(".")[0] not in (*Config.model_fields, "hydra"):
                raise ConfigError(unknown(f"~{key}", key.split(".")[0], Config.model_fields))
        elif isinstance(value, dict):
            continue
        elif key in WHOLE and not group:
            raise ConfigError(no_choice(key, said, []))
        elif "/" in key and not group:
            raise ConfigError(f"{key}={said}: no such group; a setting is written with dots, as optimizer.lr")
        elif group and not isinstance(value, str | list):
            none = f"; ~{key} leaves it out" if value is None else ""
            raise ConfigError(no_choice(key, said, repository.get_group_options(key)) + none)
        elif isinstance(value, list) and key in GROUPS and key not in MANY:
            raise ConfigError(f"{key}={said}: only one can be chosen; for a sweep write -m {key}={said.strip('[]')}")


def refuse(default: ResultDefault, loaded: ConfigResult) -> None:
    """ConfigError where a file says what it may not: where its content will stand counts, not how that is written."""
    path = default.config_path or ""
    if path != posixpath.normpath(path) or path.startswith(("/", "..")) or "\\" in path:
        raise ConfigError(f"{path}.yaml: a choice is named, not reached by a path")
    ours = loaded.provider in ("main", "hydra") or loaded.path.startswith("structured://")
    group = path.split("/")[0]
    content = ConfigLoaderImpl._embed_result_config(loaded, default.package).config
    said = {str(key) for key in content} if OmegaConf.is_dict(content) else set()
    if "trust" in said and not (ours and group == "local"):
        raise ConfigError(f"{path}.yaml: trust may be said on the command line and in conf/local only")
    if group in WHOLE and default.package == group:
        raise ConfigError(f"{path}.yaml: its first line must be `# @package _global_`")
    if ours and (path == PRIMARY or group in ("hydra", "sweep")):
        return
    if group == "hydra" or "hydra" in said:
        raise ConfigError(
            f"{path}.yaml: hydra may be set on the command line, in conf/train.yaml, hydra and sweep only"
        )
    for entry in loaded.defaults_list or []:
        for written in (getattr(entry, "group", None), getattr(entry, "path", None), entry.package):
            if written and (SAYS_HYDRA.search(written) or "${" in written):
                raise ConfigError(f"{path}.yaml: its defaults may not choose {written}")
