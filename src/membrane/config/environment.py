"""Find what a configuration takes from the environment, by resolving it, and refuse it where it may take nothing.

OmegaConf reads the environment in one place, the resolver ``oc.env``, however an expression comes to call it
(``${oc.${x}:Y}``, ``oc.decode``, ``oc.create``, a default): what is looked at is that place, not the expression's text.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar_parser import parse
from omegaconf.resolvers import oc

from membrane.config.defaults import with_defaults
from membrane.config.limits import limited_resolution
from membrane.errors import ConfigError, one_line
from membrane.schema.environment import FromEnvironment, Keys, is_recognisable
from membrane.schema.training import LOGGERS

Reads = list[tuple[str, str | None]]
"""The variables that were read, in order, each with its value, None where it is not set."""
LABELS = (("name",), ("logger",))
"""Settings that name a run and shape nothing of it: their expression can stand for their value."""
UNUSED_BY_SAVED = (*LABELS, ("init", "path"), ("extend", "path"))
"""Settings of a run that nobody needs who has its weights."""
OUR_LOGGERS = {logger.public for logger in LOGGERS}
LONGEST_LABEL = 60


@dataclass(frozen=True)
class Reading:
    """A setting that reads the environment: its path, expression, variables and, unless it has none, its value."""

    keys: Keys
    expression: str
    reads: Sequence[tuple[str, str | None]]
    value: Any = None

    @property
    def path(self) -> str:
        """Return the setting as it is typed."""
        return ".".join(map(str, self.keys))

    def label(self) -> Any:
        """Return what stands for the value where a run is named: the expression, without what a name may not have."""
        text = re.sub(r"[^A-Za-z0-9_.]+", "-", self.expression).strip("-._")[:LONGEST_LABEL] or "environment"
        return [text] if self.keys == ("logger", "tags") else text

    def as_typed(self) -> str:
        """Return how a shell fills the setting in."""
        return f"{self.path}=${self.reads[0][0]}"


def take_environment(whole: DictConfig, reads: Reads) -> FromEnvironment:
    """Return what a composed configuration takes from the environment; ``reads`` is what `environment_reads` gives.

    In ``whole`` the run's name, and the names under which our trackers file it, are replaced by their expressions.
    Raises ConfigError if the seed is taken from there: the folder's name and result.json tell it.
    """
    readings = [each for each in settings_that_read(whole, reads) if each.keys[0] != "paths"]
    logger = whole.get("logger")
    is_ours = OmegaConf.is_dict(logger) and str(logger.get("_target_")) in OUR_LOGGERS
    for each in readings:
        if each.keys[0] == "seed":
            shown = "the run's folder and result.json show it, so the environment may not give it"
            raise ConfigError(f"seed: {shown}: let the shell fill it in, as {each.as_typed()}")
        is_set = any(value is not None for _, value in each.reads)
        if is_set and (each.keys[0] == "name" or (is_ours and each.keys[0] == "logger")):
            parent_of(whole, each.keys)[each.keys[-1]] = each.label()
    expressions = {each.keys: each.expression for each in readings}
    paths = OmegaConf.to_container(whole.paths, resolve=True) if OmegaConf.is_config(whole.get("paths")) else {}
    return FromEnvironment(expressions, frozenset(values_of(readings)) - set(public_values(readings, paths)))


def without_environment(
    saved: DictConfig, replaced: Collection[str] = (), unused: Collection[Keys] = UNUSED_BY_SAVED
) -> DictConfig:
    """Return the configuration of a run, which may be a stranger's, resolved without the environment.

    Raises ConfigError if it reads the environment, but for settings that are ``unused``, for which their expression
    stands, and for those that are ``replaced`` anew, by path.
    """
    settings: Any = OmegaConf.to_container(saved)
    if not any(True for _ in interpolations(settings)):
        return saved
    with environment_reads(closed=True) as reads, limited_resolution():
        whole = with_defaults(saved)
        for each in settings_that_read(whole, reads, tolerant=True):
            is_replaced = any(f"{each.path}.".startswith(f"{path}.") for path in replaced)
            if not is_replaced and not any(each.keys[: len(keys)] == keys for keys in unused):
                says = f"its configuration says {each.path}: {each.expression}, and may not read the environment"
                raise ConfigError(f"{says}; say {each.path}=… yourself")
            parent_of(whole, each.keys)[each.keys[-1]] = None if is_replaced else each.label()
        try:
            plain = OmegaConf.to_container(whole, resolve=True)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{error.full_key}: {one_line(error)}") from None
    assert isinstance(plain, dict)
    for keys, expression in interpolations(plain):  # written so that resolving it gives another expression
        raise ConfigError(f"its configuration says {'.'.join(map(str, keys))}: {expression}, which is no value")
    added = [key for key in plain if key not in settings]
    return OmegaConf.create({str(key): value for key, value in plain.items() if key not in added})


def refuse_resolvers(path: str, content: Any) -> None:
    """Raise ConfigError if an experiment's file calls a resolver: it may refer to settings, and read nothing else.

    What ``oc.env`` reads would be the person's; and ``oc.decode`` or a name put together from parts could call that.
    """
    for keys, expression in interpolations(OmegaConf.to_container(content)):
        if calls_resolver(expression):
            setting = ".".join(map(str, keys))
            only = "an experiment may refer to other settings only, as ${epochs}"
            raise ConfigError(f"{path}.yaml: {setting}: {expression}: {only}")


def calls_resolver(expression: str) -> bool:
    """Return whether a text with interpolations calls a resolver; one that cannot be read counts as one that does."""
    try:
        nodes: list[Any] = [parse(expression)]
    except GrammarParseError:
        return True
    while nodes:
        node = nodes.pop()
        if type(node).__name__ == "InterpolationResolverContext":
            return True
        nodes.extend(node.getChildren() if hasattr(node, "getChildren") else ())
    return False


def settings_that_read(whole: DictConfig, reads: Reads, tolerant: bool = False) -> list[Reading]:
    """Return the settings whose resolving reads the environment; ``tolerant`` of those that cannot be resolved."""
    readings = []
    for keys, expression in interpolations(OmegaConf.to_container(whole)):
        before, value = len(reads), None
        try:
            value = parent_of(whole, keys)[keys[-1]]
            value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except OmegaConfBaseException:
            if not tolerant:
                raise
        if len(reads) > before:
            readings.append(Reading(keys, expression, tuple(reads[before:]), value))
    return readings


def parent_of(config: DictConfig, keys: Keys) -> Any:
    """Return the node in which a path's last key stands."""
    parent: Any = config
    for key in keys[:-1]:
        # omegaconf 2.3: subscripts resolve a node, and only this method gives it as it is
        parent = parent._get_node(key)
    return parent


def interpolations(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield the path and the text of every value with an interpolation."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from interpolations(inner, (*keys, key))
    elif isinstance(value, str) and "${" in value:
        yield keys, value


@contextmanager
def environment_reads(closed: bool = False) -> Iterator[Reads]:
    """Collect what interpolations inside read from the environment; where it is ``closed`` they get empty texts."""
    reads: Reads = []

    def env(*arguments: Any) -> Any:
        if closed:
            reads.append((str(arguments[0]), None))
            return ""
        reads.append((str(arguments[0]), os.environ.get(str(arguments[0]))))
        return oc.env(*arguments)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield reads
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def values_of(readings: Sequence[Reading]) -> Iterator[str]:
    """Yield the texts that were read, and those made of them in which none of them can be told any more."""
    for each in readings:
        texts = {value for _, value in each.reads if value}
        recognised = [text for text in texts if is_recognisable(text)]
        yield from texts
        if texts:
            yield from (leaf for leaf in leaves(each.value) if not any(text in leaf for text in recognised))


def public_values(readings: Sequence[Reading], paths: Any) -> Iterator[str]:
    """Yield the texts that were read and stand in ``paths`` too, which are shown."""
    shown = list(leaves(paths))
    yield from (value for value in values_of(readings) if any(value in path for path in shown))


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts in a plain value."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value
