"""Composition of conf/ by Hydra's rules, before Hydra's own main runs.

Hydra builds callbacks and logging configurations before it calls the task, so what a file may not set is refused here:
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

# hydra-core 1.3 composes in public only through its global state (initialize, compose), which may be set but once in a
# process and hides where a file came from; its loader and repositories have no public name.
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

from membrane.config.environment import refuse_resolvers
from membrane.config.files import ConfigFiles
from membrane.config.limits import limited_resolution, require_short_overrides
from membrane.config.messages import nearest, unknown_choice, unknown_setting
from membrane.errors import ConfigError, one_line
from membrane.schema import GROUPS, MANY, Config
from membrane.schema.secrets import masked, masked_override

PRIMARY = "train"
HYDRA_VERSION = "1.3"
"""The version of Hydra whose rules of composition hold, here and in Hydra's main."""
NAMES_HYDRA = re.compile(r"(^|[/.@:\[])hydra($|[/.@:\]\[])")
WHOLE = ("experiment", "sweep", "debug", "local")
"""Groups whose files set parts of the whole configuration."""


def conf_folder() -> Path:
    """Return the configuration folder: beside the package where it was installed, in the repository otherwise."""
    installed = Path(__file__).parents[1] / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "conf"


class Composer:
    """Composes configurations from `conf/` and, if there is one, a folder of the user's."""

    def __init__(self, config_dir: str | None = None) -> None:
        version.setbase(HYDRA_VERSION)  # Hydra's main does so too, but only after what is composed here
        search_path = create_automatic_config_search_path(None, None, str(conf_folder()))
        if config_dir is not None:
            if not Path(config_dir).is_dir():
                raise ConfigError(f"--config-dir: {config_dir} is not a folder")
            # where Hydra's main puts it too: after conf/, so that its files add to ours and replace none
            anchor = SearchPathQuery(provider="schema")
            search_path.prepend(provider="command-line", path=f"file://{Path(config_dir).resolve()}", anchor=anchor)
        self.loader: ConfigLoaderImpl = ConfigFiles(search_path, refuse_file)

    def add_or_override(self, overrides: Sequence[str]) -> list[str]:
        """Return overrides of values as ``++key=value``, Hydra's "add or override", and the others as they are.

        So Hydra takes any key; which keys exist is checked against the schema (`config.check`). The ``+`` that Hydra
        wants for a choice beside `conf/train.yaml`'s is dropped where there is one to replace.
        """
        lines, parsed = [], self.parse(overrides)
        is_group = self.repository(parsed).group_exists
        primary = self.repository([]).load_config(PRIMARY)
        chosen = {getattr(entry, "group", None) for entry in (primary and primary.defaults_list) or []}
        for line, override in zip(overrides, parsed, strict=True):
            key = override.key_or_group
            if override.type.name == "DEL" or override.package or key.startswith("hydra."):
                lines.append(line)
            elif "/" in key or key in WHOLE or (is_group(key) and not isinstance(override.value(), dict)):
                lines.append(line.lstrip("+") if key in chosen else line)
            else:
                lines.append(f"++{with_full_key(line.lstrip('+'), override)}")
        return lines

    def parse(self, overrides: Sequence[str]) -> list[Any]:
        """Return overrides in Hydra's form. Raises ConfigError if one cannot be read."""
        require_short_overrides(overrides)
        try:
            return list(OverridesParser.create(config_loader=self.loader).parse_overrides(list(overrides)))
        except OverrideParseException as error:
            raise ConfigError(self.unreadable_line(error.override, str(error))) from None

    def unreadable_line(self, line: str, reported: str) -> str:
        """Return one line on an override that cannot be read, of which Hydra ``reported`` where its parser stopped."""
        if "=" not in line:
            meant = [f"{group}={line}" for group in self.groups() if line in self.loader.get_group_options(group)]
            near = f"; did you mean {meant[0]}?" if meant else ""
            return f"{line!r}: write setting=value or group=choice, without spaces{near}"
        reasons = (each.split(" expecting")[0] for each in reported.splitlines() if " input " in each)
        reason = next(reasons, "a stray character")
        return f"{line!r} cannot be read ({reason}): quote what is special, as in key='\"a b\"'"

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a single run, without Hydra's node."""
        return without_hydra(self.load(overrides, RunMode.RUN))

    def chooses(self, override: Any) -> bool:
        """Return whether a parsed override makes a choice of a group, as readout=max does.

        Raises ConfigError if it is one that a new run alone can make.
        """
        key = override.key_or_group
        if key in WHOLE:
            raise ConfigError(
                f"{key}={override.get_value_element_as_str()}: chooses a whole run, name settings of this one"
            )
        return isinstance(override.value(), str | list) and self.repository([override]).group_exists(key)

    def choice(self, override: Any) -> Any:
        """Return what conf/ states for the choice that a parsed override makes, its references unresolved."""
        group = override.key_or_group
        return self.compose([f"{group}={override.get_value_element_as_str()}"]).get(group)

    def compose_sweep_job(self, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of one job of a sweep as Hydra will compose it, without Hydra's node."""
        parsed = self.parse(overrides)
        refuse_overrides(parsed, self.repository(parsed))
        with errors_explained(self):
            return without_hydra(self.loader.load_sweep_config(master, list(overrides)))

    def load(self, overrides: Sequence[str], mode: RunMode) -> DictConfig:
        """Return the whole composed configuration, Hydra's node too.

        Raises ConfigError if an override names nothing, or a file sets what it may not.
        """
        parsed = [override for override in self.parse(overrides) if not override.is_sweep_override()]
        refuse_overrides(parsed, self.repository(parsed))
        with errors_explained(self):
            return self.loader.load_configuration(PRIMARY, list(overrides), run_mode=mode)

    def shown(self, overrides: Sequence[str], part: str) -> dict[str, Any]:
        """Return what ``--cfg all`` shows, or ``--cfg hydra``, its part: secrets masked, references unresolved."""
        composed = OmegaConf.to_container(self.load(overrides, RunMode.RUN), enum_to_str=True)
        assert isinstance(composed, dict)
        typed = composed["hydra"]["overrides"]
        composed["hydra"]["overrides"] = {
            key: [masked_override(line) for line in lines] for key, lines in typed.items()
        }
        folder_name = composed["hydra"]["job"]["override_dirname"].split(",")
        composed["hydra"]["job"]["override_dirname"] = ",".join(masked_override(line) for line in folder_name)
        return {str(key): masked(str(key), value) for key, value in composed.items() if part == "all" or key == part}

    def explain(self, error: Exception) -> str:
        """Return one line on what Hydra could not compose: the mistake, the valid choices, the nearest match."""
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            return self.explain_missing(error, error.missing_cfg_file)
        if isinstance(error, YAMLError):
            mark = getattr(error, "problem_mark", None)
            where = f"{Path(mark.name).name}, line {mark.line + 1}: " if mark else ""
            return f"{where}{getattr(error, 'problem', None) or one_line(error)}"
        lines = [*str(error).splitlines()[:2], *str(error.__cause__ or "").splitlines()[:1]]
        reason = ": ".join(dict.fromkeys(line.strip().rstrip(".:") for line in lines if line.strip()))
        if of_launcher := re.match(r"Could not override '(hydra\.launcher\.\w+)'.* not in 'BasicLauncherConf'", reason):
            return f"{of_launcher[1]}: the launcher that is chosen has no settings; hydra/launcher=processes has"
        speaks = reason and isinstance(error, HydraException | OmegaConfBaseException)
        return reason if speaks else f"{type(error).__name__}: {reason}"

    def explain_missing(self, error: MissingConfigException, missing: str) -> str:
        """Return one line on a file of conf/ that is ``missing``, and on who names it."""
        named_by = re.match(r"In '(.+)': Could not (find|load)", str(error))
        parent = f"{named_by[1]}.yaml: " if named_by and named_by[1] not in (PRIMARY, "hydra/config") else ""
        group, _, name = missing.rpartition("/")
        options = error.options or self.loader.get_group_options(group) if group else []
        if group and (options or group in WHOLE):
            return parent + unknown_choice(group, name, options)
        group, groups = group or name, self.groups()
        return f"{parent}{group}: no such group{nearest(group, groups) or ';'} valid: {', '.join(groups)}"

    def groups(self) -> list[str]:
        """Return the groups that have choices."""
        return sorted(group for group in self.loader.list_groups("") if group not in ("hydra", "local"))

    def repository(self, parsed: Sequence[Any]) -> IConfigRepository:
        """Return the repository that finds a command line's files, in a ``hydra.searchpath`` of its own too."""
        lines = [override.input_line for override in parsed if override.key_or_group == "hydra.searchpath"]
        with errors_explained(self):
            # hydra-core 1.3: nothing public gives the repository of a search path that overrides add to
            return self.loader._parse_overrides_and_create_caching_repo(PRIMARY, lines)[1]


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a composed configuration after removing Hydra's node from it."""
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    return config


def with_full_key(line: str, override: Any) -> str:
    """Return a setting by its full key: ``init=PATH`` is short for ``init.path=PATH``, and so with ``extend``."""
    key = override.key_or_group
    short = key in ("init", "extend") and not isinstance(override.value(), dict | None)
    return line.replace(f"{key}=", f"{key}.path=", 1) if short else line


@contextmanager
def errors_explained(composer: Composer) -> Iterator[None]:
    """Raise whatever Hydra raises inside as a ConfigError: a mistake in an override or a file, in one line."""
    try:
        with limited_resolution():
            yield
    except ConfigError:
        raise
    except Exception as error:  # Hydra reports them as its own exceptions, OmegaConf's, ValueError, AssertionError …
        raise ConfigError(composer.explain(error)) from None


def refuse_overrides(parsed: Sequence[Any], repository: IConfigRepository) -> None:
    """Raise ConfigError for an override that chooses or removes what cannot be chosen or removed."""
    for override in parsed:
        key, value = override.key_or_group, override.value()
        text, is_group = override.get_value_element_as_str(), repository.group_exists(key)
        if not key:
            raise ConfigError(f"{override.input_line!r}: write setting=value or group=choice")
        if override.is_delete():
            if not is_group and key.split(".")[0] not in (*Config.model_fields, "hydra"):
                raise ConfigError(unknown_setting(f"~{key}", key.split(".")[0], Config.model_fields))
        elif isinstance(value, dict):
            continue
        elif key in WHOLE and not is_group:
            raise ConfigError(unknown_choice(key, text, []))
        elif "/" in key and not is_group:
            raise ConfigError(f"{key}={text}: no such group; a setting is written with dots, as optimizer.lr")
        elif is_group:
            refuse_wrong_choice(key, value, text, repository.get_group_options(key))


def refuse_wrong_choice(group: str, value: Any, text: str, options: Sequence[str]) -> None:
    """Raise ConfigError for an override of a group by what is no choice, or by several where one can be chosen."""
    if "${" in str(value):
        plain = text.replace("\\", "")  # Hydra escapes the signs of a text that was typed without quotes
        raise ConfigError(f"{group}={plain}: a choice is named; let the shell fill it in, as {group}=$NAME")
    if not isinstance(value, str | list):
        none = f"; ~{group} leaves it out" if value is None else ""
        raise ConfigError(unknown_choice(group, text, options) + none)
    if isinstance(value, list) and group in GROUPS and group not in MANY:
        raise ConfigError(f"{group}={text}: only one can be chosen; for a sweep write -m {group}={text.strip('[]')}")


def refuse_file(default: ResultDefault, loaded: ConfigResult) -> None:
    """Raise ConfigError if a file sets what it may not, judged by where its content will stand, however written."""
    path = default.config_path or ""
    if path != posixpath.normpath(path) or path.startswith(("/", "..")) or "\\" in path:
        raise ConfigError(f"{path}.yaml: a choice is named, not reached by a path")
    ours = loaded.provider in ("main", "hydra") or loaded.path.startswith("structured://")
    group = path.split("/")[0]
    # hydra-core 1.3: the package that a file's content goes to is applied by this method alone
    content = ConfigLoaderImpl._embed_result_config(loaded, default.package).config
    keys = {str(key) for key in content} if OmegaConf.is_dict(content) else set()
    if group == "experiment":
        refuse_resolvers(path, content)
    if "trust" in keys and not (ours and group == "local"):
        raise ConfigError(f"{path}.yaml: trust may be said on the command line and in conf/local only")
    if group in WHOLE and default.package == group:
        raise ConfigError(f"{path}.yaml: its first line must be `# @package _global_`")
    if ours and (path == PRIMARY or group in ("hydra", "sweep")):
        return
    if group == "hydra" or "hydra" in keys:
        raise ConfigError(
            f"{path}.yaml: hydra may be set on the command line, in conf/train.yaml, hydra and sweep only"
        )
    for entry in loaded.defaults_list or []:
        for choice in (getattr(entry, "group", None), getattr(entry, "path", None), entry.package):
            if choice and (NAMES_HYDRA.search(choice) or "${" in choice):
                raise ConfigError(f"{path}.yaml: its defaults may not choose {choice}")
