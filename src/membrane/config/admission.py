"""Which classes a configuration may name: the written list, and what the person trusts on the command line."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from membrane.config.messages import nearest
from membrane.errors import ConfigError, one_line
from membrane.schema import GROUPS, Node

ADMITTED: Mapping[str, type[Node]] = {node.public: node for _, nodes in GROUPS.values() for node in nodes}
"""Every public name that a ``_target_`` may have, unless the user trusts another one on the command line."""


def trusted(names: Any) -> list[str]:
    """The classes that the user trusts, by their full names."""
    for name in names if isinstance(names, list) else [names] if names is not None else []:
        if (
            not isinstance(names, list)
            or not isinstance(name, str)
            or not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name)
        ):
            raise ConfigError(f"trust: expected a list of full names like [my_package.MyModel], got {names!r}")
    return list(names or [])


def targets(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every ``_target_`` in a configuration, at any depth, with its place. ConfigError for Hydra's other such keys."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield place, value["_target_"]
        for key, inner in value.items():
            where = f"{place}.{key}".lstrip(".")
            if re.fullmatch(r"_\w+_", str(key)) and key != "_target_":
                raise ConfigError(f"{where}: objects are built from _target_ and settings by name, there is no {key}")
            yield from targets(inner, where)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from targets(inner, f"{place}[{index}]")


def admissible(place: str, target: Any, trust: Sequence[str]) -> None:
    """Refuse a name that is neither on the written list nor trusted, before anything is imported."""
    if isinstance(target, str) and (target in ADMITTED or target in trust):
        return
    _, choices = GROUPS.get(place.split(".")[0], (Node, ()))
    public = [kind.public for kind in choices if kind.defined == target]
    near = f"; did you mean {public[0]}?" if public else nearest(str(target), [kind.public for kind in choices])
    names = f" {place.split('.')[0]}=… is one of {choices_in(choices)};" if choices else ""
    where = f"{place}._target_".lstrip(".")
    raise ConfigError(
        f"{where}: {target!r} is not on membrane's list{near or ';'}{names} your own class needs trust=[its name]"
    )


def choices_in(choices: Sequence[type[Node]]) -> str:
    """What may be typed after `group=`; other classes on the list are reached by `group._target_=` alone."""
    return ", ".join(kind.choice for kind in choices if kind.choice)


def admitted(target: str, trust: Sequence[str] = ()) -> type[Any]:
    """The class that ``target`` names. ConfigError unless it is on the list (or trusted) and is what it says it is."""
    admissible("", target, trust)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        hint = "; is its folder on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        raise ConfigError(f"{target} cannot be imported: {one_line(error)}{hint}") from None
    expected = (ADMITTED[target].defined or target) if target in ADMITTED else target
    actual = f"{getattr(found, '__module__', '?')}.{getattr(found, '__qualname__', '?')}"
    if not inspect.isclass(found):
        raise ConfigError(f"{target} is no class, but {type(found).__name__} {actual}")
    if actual != expected:
        raise ConfigError(f"{target} is really {actual}: name the class where it is defined")
    return found
