"""Limits of what a configuration may grow to: a few lines of references can fill the memory, or take years."""

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import OmegaConf
from omegaconf.base import Container
from omegaconf.errors import InterpolationResolutionError
from yaml import YAMLError

from membrane.errors import ConfigError, one_line
from membrane.files.capped import TEXT_BYTES
from membrane.files.yaml_text import bracket_depth, require_small_expression, require_small_yaml

OVERRIDE = 20_000
"""Characters of an override, at most: Hydra's parser reads some ten thousand a second."""
LEVELS = 30
"""Brackets of an override in one another, and parts of its key, at most."""
TEXT = 10_000
"""Characters of a text, at most: a path has 4096."""
UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
"""NUL, and halves of signs in UTF-16."""
WHOLE_NUMBERS = 1 << 63
"""The first whole number that does not fit what torch computes in."""
JOBS = 10_000
"""Jobs of a sweep, and combinations of values that are evaluated, at most."""
RESOLUTIONS = 4_000
"""References that are followed to resolve a configuration, and values that they lead to, at most."""
RESOLVED = 1 << 20
"""Characters of all texts with references, once they are filled in, at most."""


def require_short_overrides(overrides: Sequence[str]) -> None:
    """Raise ConfigError if an override is too long, or too deep, for Hydra's parser to read it in time."""
    for line in overrides:
        key, _, value = line.partition("=")
        where = key if len(key) <= 60 else f"{key[:60]}…"
        if len(line) > OVERRIDE:
            raise ConfigError(
                f"{where}: an override of {len(line)} characters; at most {OVERRIDE}, a file may have more"
            )
        if len(re.split(r"[./\[]", key)) > LEVELS or bracket_depth(value) > LEVELS:
            raise ConfigError(f"{where}: nested more than {LEVELS} levels deep")
        try:
            require_small_expression(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None


def require_few_jobs(overrides: Sequence[Override]) -> None:
    """Raise ConfigError if parsed overrides have more combinations of values than anybody would wait for."""
    number = math.prod(number_of_values(each) for each in overrides if each.is_discrete_sweep())
    if number > JOBS:
        raise ConfigError(f"{number} combinations of values: at most {JOBS} are tried at once")


def number_of_values(override: Override) -> int:
    """Return how many values an override lists, without listing them."""
    values = override.value()
    if not isinstance(values, RangeSweep):
        return len(list(override.sweep_iterator()))
    assert values.start is not None
    assert values.stop is not None
    return max(math.ceil((values.stop - values.start) / values.step), 0) if values.step else JOBS + 1


def require_small_values(value: Any, path: str = "", depth: int = 0) -> None:
    """Raise ConfigError for a text, a whole number or a nesting in plain values that no setting can have."""
    if depth > LEVELS:
        raise ConfigError(f"{path[:60]}…: nested more than {LEVELS} levels deep")
    if isinstance(value, str) and len(value) > TEXT:
        raise ConfigError(f"{path}: a text of {len(value)} characters; at most {TEXT}")
    if isinstance(value, str) and UNWRITABLE.search(value):
        raise ConfigError(f"{path}: {value!r:.60} has a sign that no file can be named with, or written in")
    if isinstance(value, int) and abs(value) >= WHOLE_NUMBERS:
        raise ConfigError(f"{path}: a whole number of {value.bit_length()} bits; at most 63")
    if isinstance(value, Mapping | list | tuple):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            require_small_values(inner, f"{path}.{str(key)[:TEXT]}".lstrip("."), depth + 1)


def require_small_file(repository: Any, path: str) -> None:
    """Raise ConfigError if the file of a choice is larger than a configuration can need, or would grow beyond that."""
    source = next((each for each in repository.get_sources() if each.is_config(path)), None)
    if source is None or source.scheme() != "file":
        return
    name = path.removesuffix(".yaml")
    try:
        with Path(os.path.realpath(f"{source.path}/{name}.yaml")).open("rb") as file:  # as Hydra finds it
            content = file.read(TEXT_BYTES + 1)
        if len(content) > TEXT_BYTES:
            raise ValueError(f"larger than {TEXT_BYTES >> 20} MiB")
        require_small_yaml(content.decode("utf-8"))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{Path(name).name}.yaml{where}: {getattr(error, 'problem', None) or one_line(error)}"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{name}.yaml: {one_line(error)}") from None


@contextmanager
def limited_resolution() -> Iterator[None]:
    """Raise ConfigError inside as soon as references lead to more than the limits, whatever they refer to.

    OmegaConf follows each reference anew wherever it stands: ``a: ${b}${b}``, ``b: ${c}${c}`` and so on double the
    work with every line.
    """
    # omegaconf 2.3: every reference is resolved by this method, and nothing public counts them
    resolve = Container.resolve_parse_tree
    values = characters = 0

    def counted(self: Container, *arguments: Any, **named: Any) -> Any:
        nonlocal values, characters
        values += 1
        if values <= RESOLUTIONS and characters <= RESOLVED:
            result = resolve(self, *arguments, **named)
            values += count_values(OmegaConf.to_container(result)) if OmegaConf.is_config(result) else 0
            characters += len(result) if isinstance(result, str) else 0
        if values > RESOLUTIONS or characters > RESOLVED:
            raise InterpolationResolutionError("its references lead to more than a configuration can need")
        return result

    Container.resolve_parse_tree = counted  # type: ignore[method-assign]
    try:
        yield
    except RecursionError:
        raise ConfigError("the configuration's references lead too deep, or back to themselves") from None
    finally:
        Container.resolve_parse_tree = resolve  # type: ignore[method-assign]


def count_values(value: Any) -> int:
    """Return the number of values in plain dicts and lists."""
    waiting, number = [value], 0
    while waiting:
        inner = waiting.pop()
        number += 1
        if isinstance(inner, dict | list):
            waiting += inner.values() if isinstance(inner, dict) else inner
    return number
