"""Which classes a configuration may name: the written list, and what the person trusts on the command line."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from membrane.config.messages import nearest
from membrane.errors import ConfigError, located_line, one_line
from membrane.schema import GROUPS, Node

ADMITTED: Mapping[str, type[Node]] = {node.public: node for _, nodes in GROUPS.values() for node in nodes}
"""Every public name that a ``_target_`` may have, unless the user trusts another one on the command line."""
FULL_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def trusted_names(trust: Any) -> list[str]:
    """Return the full names of the classes that the user trusts. Raises ConfigError if ``trust`` is no list of such."""
    if trust is None:
        return []
    if not isinstance(trust, list) or not all(isinstance(name, str) and FULL_NAME.fullmatch(name) for name in trust):
        raise ConfigError(f"trust: expected a list of full names like [my_package.MyModel], got {trust!r}")
    return list(trust)


def targets_in(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every ``_target_`` at any depth, with its path. Raises ConfigError for Hydra's other keys of that form."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield path, value["_target_"]
        for key, inner in value.items():
            inner_path = f"{path}.{key}".lstrip(".")
            if re.fullmatch(r"_\w+_", str(key)) and key != "_target_":
                raise ConfigError(
                    f"{inner_path}: objects are built from _target_ and settings by name, there is no {key}"
                )
            yield from targets_in(inner, inner_path)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from targets_in(inner, f"{path}[{index}]")


def refuse_unlisted(path: str, target: Any, trust: Sequence[str]) -> None:
    """Raise ConfigError for a name that is neither on the list nor trusted, before anything is imported."""
    if isinstance(target, str) and (target in ADMITTED or target in trust):
        return
    group = path.split(".")[0]
    _, choices = GROUPS.get(group, (Node, ()))
    public = [node_class.public for node_class in choices if node_class.defined == target]
    near = f"; did you mean {public[0]}?" if public else nearest(str(target), [each.public for each in choices])
    names = f" {group}=… is one of {choice_names(choices)};" if choices else ""
    where = f"{path}._target_".lstrip(".")
    raise ConfigError(
        f"{where}: {target!r} is not on membrane's list{near or ';'}{names} your own class needs trust=[its name]"
    )


def choice_names(choices: Sequence[type[Node]]) -> str:
    """Return what may be typed after `group=`; other classes on the list are reached by `group._target_=` alone."""
    return ", ".join(node_class.choice for node_class in choices if node_class.choice)


def admitted_class(target: str, trust: Sequence[str] = ()) -> type[Any]:
    """Import and return the class that ``target`` names.

    Raises ConfigError unless it is on the list (or trusted), is a class, and is defined where its name says.
    """
    refuse_unlisted("", target, trust)
    module, _, name = target.rpartition(".")
    try:
        named = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        hint = "; is its folder on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        raise ConfigError(f"{target} cannot be imported: {one_line(error)}{hint}") from None
    except Exception as error:  # of the user's module, while it is imported
        if target in ADMITTED:
            raise
        line = located_line(error, [target.partition(".")[0]])
        raise ConfigError(f"{target} cannot be imported: {line}") from error
    expected = (ADMITTED[target].defined or target) if target in ADMITTED else target
    actual = f"{getattr(named, '__module__', '?')}.{getattr(named, '__qualname__', '?')}"
    if not inspect.isclass(named):
        raise ConfigError(f"{target} is no class, but {type(named).__name__} {actual}")
    if actual != expected:
        raise ConfigError(f"{target} is really {actual}: name the class where it is defined")
    return named
