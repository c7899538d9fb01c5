"""A run's settings as a flat table, and those among them that tell several runs apart."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from membrane.files.capped import TEXT_BYTES, read_capped
from membrane.files.yaml_text import require_small_yaml
from membrane.runs.fingerprint import UNSHAPING_SETTINGS, UNSHAPING_TRAINER
from membrane.runs.saved import CONFIG, why_unreadable
from membrane.runs.standing import UNREADABLE

if TYPE_CHECKING:
    from membrane.schema import Node, Settings

Flat = dict[str, Any]
FIRST = ("dataset", "model", "neuron", "surrogate", "encoder", "framework", "timesteps", "augmentation", "readout")
"""Settings whose columns come first, in this order."""
CHARACTER = ("dataset", "model", "neuron", "surrogate", "encoder", "framework")
"""Groups whose other settings are part of the choice: they are columns only where one choice has several values."""
OF_A_RESULT = ("dataset", "model", "neuron", "encoder", "framework", "timesteps", "protocol", "precision", "epochs")
ABSENT = "–"
DIGEST = re.compile("[0-9a-f]{64}")


def read_settings(folder: Path, unread: list[str]) -> Flat:
    """Return the settings of a run's config.yaml that shape its result; empty, and noted, if it cannot be read."""
    import yaml

    path = folder / CONFIG
    try:
        text = read_capped(path, TEXT_BYTES).decode("utf-8")
        require_small_yaml(text)
        # no interpolation is resolved: what a stranger's file asks of the environment stays asked
        return flat_settings(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506 it is safe
    except FileNotFoundError:
        return {}
    except (*UNREADABLE, yaml.YAMLError) as error:
        unread.append(f"{path}: {why_unreadable(error)}")
        return {}


def result_settings(result: Mapping[str, Any]) -> Flat:
    """Return the settings that result.json alone tells, for a record that has no config.yaml."""
    settings = {key: result[key] for key in OF_A_RESULT if key in result}
    surrogate = result.get("surrogate")
    if isinstance(surrogate, dict):
        settings["surrogate"] = surrogate.get("kind")
    return settings


def flat_settings(config: Mapping[str, Any]) -> Flat:
    """Return dotted name → value of what shapes a result; a group's own name stands for its choice.

    What was added to the schema later is left out where it has the value that stands for how it was before.
    """
    from membrane.schema import Config
    from membrane.schema.training import Trainer

    flat: Flat = {}
    for key, value in config.items():
        if key in UNSHAPING_SETTINGS or key == "debug" or is_marked(Config, key, "unshaping"):
            continue
        if key == "trainer" and isinstance(value, dict):
            shaping = {name: inner for name, inner in value.items() if name not in UNSHAPING_TRAINER}
            add_inner(flat, key, shaping, Trainer)
        else:
            add_setting(flat, str(key), value, Config)
    return flat


def add_setting(flat: Flat, key: str, value: Any, settings: "type[Settings] | None") -> None:
    """Add a setting under its dotted name, unless ``settings``, which declares it, says that it tells nothing."""
    name = key.rpartition(".")[2]
    if settings is not None and (is_marked(settings, name, "unshaping") or is_as_before(settings, name, value)):
        return
    if isinstance(value, dict) and "_target_" in value:
        target = str(value["_target_"])
        node = nodes_by_target().get(target)
        flat[key] = (node.choice if node is not None else "") or target.rpartition(".")[2]
        add_inner(flat, key, {name: inner for name, inner in value.items() if name != "_target_"}, node)
    elif isinstance(value, dict) and all(isinstance(inner, dict) and "_target_" in inner for inner in value.values()):
        flat[key] = ", ".join(map(str, value)) or None
        add_inner(flat, key, value, None)
    elif isinstance(value, dict):
        add_inner(flat, key, value, None)
    else:
        plain = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
        flat[key] = value if plain else json.dumps(value, separators=(",", ":"), default=str)


def add_inner(flat: Flat, key: str, inner: Mapping[Any, Any], settings: "type[Settings] | None") -> None:
    """Add the settings of a group."""
    for name, value in inner.items():
        add_setting(flat, f"{key}.{name}", value, settings)


@cache
def nodes_by_target() -> "Mapping[str, type[Node]]":
    """Return ``_target_`` → the class of the schema that declares its settings."""
    from membrane.schema import Node

    found, waiting = {}, [Node]
    while waiting:
        for each in waiting.pop().__subclasses__():
            waiting.append(each)
            if each.public:
                found[each.public] = each
    return found


def is_marked(settings: "type[Settings]", name: str, mark: str) -> bool:
    """Return whether a field of the schema is declared ``UNSHAPING`` or ``LATER``."""
    field = settings.model_fields.get(name)
    extra = None if field is None else field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(mark))


def is_as_before(settings: "type[Settings]", name: str, value: Any) -> bool:
    """Return whether a setting that came later has the value that stands for how it was before."""
    if not is_marked(settings, name, "later"):
        return False
    return bool(value == settings.model_fields[name].get_default(call_default_factory=True))


def differing_settings(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of settings that differ, in the order of columns; empty for a single run.

    Of a data set, a model, a neuron and the like only the name is one, unless runs with the same name differ in it. A
    run without a setting, as an older version's, does not differ in it, unless nothing else tells it from the others.
    """
    names = list(dict.fromkeys(name for run in runs for name in run))
    names.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    shown = [name for name in names if differs(name, runs)]
    if len(runs) > 1 and "surrogate" in shown and is_told_by_neuron(runs):
        shown.remove("surrogate")
    told = count_distinct(shown, runs)
    for name in names:
        if told == len(runs):
            break
        if name not in shown and count_distinct([*shown, name], runs) > told:
            shown.append(name)
            told = count_distinct(shown, runs)
    return shown


def count_distinct(names: Sequence[str], runs: Iterable[Mapping[str, Any]]) -> int:
    """Return how many of the runs some settings tell apart."""
    return len({tuple(repr(run.get(name, ABSENT)) for name in names) for run in runs})


def differs(name: str, runs: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a setting has several values among the runs that it is a setting of their own of."""
    group, _, inner = name.partition(".")
    values: dict[str, set[str]] = {}
    for run in runs:
        if name in run:
            choice = str(run.get(group)) if inner and group in CHARACTER else ""
            values.setdefault(choice, set()).add(repr(run[name]))
    return any(len(each) > 1 for each in values.values())


def is_told_by_neuron(runs: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether runs differ in the surrogate only as those of an ANN twin have none."""
    runs = list(runs)
    surrogates = {repr(run["surrogate"]) for run in runs if run.get("surrogate") is not None}
    spiking = {run.get("neuron") for run in runs if run.get("surrogate") is not None}
    others = {run.get("neuron") for run in runs if run.get("surrogate") is None}
    return len(surrogates) == 1 and not spiking & others


def setting_text(value: Any) -> str:
    """Return a setting's value as a cell: ``none`` for null, ``true``, ``0.002``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and DIGEST.fullmatch(value):
        return value[:12]
    # 0.009 rather than 0.009000000000000001, which a product of settings may give
    return str(float(f"{value:.12g}")) if isinstance(value, float) else str(value)
