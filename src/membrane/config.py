"""From a composed configuration to one that can be trusted: admission, types, sense; and from its nodes to objects.

Nothing here imports torch before a configuration has been checked, and no name is imported before it is admitted.
"""

import difflib
import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError, create_model

from membrane.errors import ConfigError
from membrane.schema import GROUPS, MANY, Config, Node, Settings, Trusted
from membrane.schema.network import SpikingNeuron

S = TypeVar("S", bound=Settings)

ADMITTED: Mapping[str, type[Node]] = {node.public: node for _, nodes in GROUPS.values() for node in nodes}
"""Every public name that a ``_target_`` may have, unless the user trusts another one on the command line."""


def check(raw: Mapping[str, Any]) -> Config:
    """A resolved, composed configuration → typed and frozen. ConfigError (one line) for anything that cannot run."""
    trust = raw.get("trust") or []
    if not (isinstance(trust, list) and all(isinstance(name, str) for name in trust)):
        raise ConfigError(f"trust: expected a list of names like [my_package.MyModel], got {trust!r}")
    for key in raw:
        if key not in Config.model_fields:
            raise ConfigError(unknown(key, key, list(Config.model_fields)))
    for place, target in targets(raw):
        admissible(place, target, trust)
    nodes: dict[str, Any] = {}
    for group, (kind, choices) in GROUPS.items():
        value = raw.get(group)
        if group in MANY:
            nodes[group] = {name: node(f"{group}.{name}", kind, choices, entry) for name, entry in entries(group, value)}
        elif not value and group in ("surrogate", "logger"):
            nodes[group] = None
        else:
            nodes[group] = node(group, kind, choices, value)
    spiking = getattr(nodes["neuron"], "spiking", True)
    nodes["surrogate"] = nodes.get("surrogate") if spiking else None
    config = validated("", Config, {**raw, **nodes})
    sense(config)
    return config


def entries(group: str, value: Any) -> list[tuple[str, Any]]:
    """The named entries of a group of which several choices may be made."""
    if not isinstance(value or {}, Mapping):
        raise ConfigError(f"{group}: expected named entries such as {group}=[{GROUPS[group][1][0].choice}], got {value!r}")
    return [(name, entry) for name, entry in (value or {}).items() if entry is not None]


def targets(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every ``_target_`` in a configuration, at any depth, with its place."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield place, value["_target_"]
        for key, inner in value.items():
            yield from targets(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from targets(inner, f"{place}[{index}]")


def admissible(place: str, target: Any, trust: Sequence[str]) -> None:
    """Refuse a name that is neither on the written list nor trusted, before anything is imported."""
    if not isinstance(target, str) or (target not in ADMITTED and target not in trust):
        raise ConfigError(
            f"{place}._target_: {target!r} is not admitted; a class of your own is with trust=[{target}] on the command line"
        )


def node(place: str, kind: type[Node], choices: Sequence[type[Node]], value: Any) -> Node:
    """One node of a group, checked against the settings of its ``_target_``."""
    if not isinstance(value, Mapping) or "_target_" not in value:
        names = ", ".join(choice.choice for choice in choices)
        raise ConfigError(f"{place}: expected a choice of {names}, got {value!r}")
    target = value["_target_"]
    found = ADMITTED.get(target)
    if found is None:
        found = create_model(f"Trusted{kind.__name__}", __base__=(Trusted, kind))
    elif found not in choices:
        raise ConfigError(f"{place}._target_: {target} is no {kind.__name__.lower()}")
    return validated(place, found, value)


def validated(place: str, model: type[S], value: Mapping[str, Any]) -> S:
    """``value`` as ``model``; ConfigError that names the first mistake, what would be right, and the nearest name."""
    try:
        return model.model_validate(dict(value))
    except ValidationError as error:
        raise ConfigError(explained(place, model, error)) from None


def explained(place: str, model: Any, error: ValidationError) -> str:
    """The first error of pydantic in one line."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    where = ".".join([place, *path] if place else path)
    if first["type"] != "extra_forbidden":
        message = str(first["msg"]).removeprefix("Value error, ").replace("Input should be", "expected")
        if first["type"] == "missing":
            return f"{where}: a value is needed"
        got = "" if first["type"] == "value_error" else f", got {first['input']!r}"
        return f"{where or 'configuration'}: {message}{got}"
    return unknown(where, path[-1], names_in(model, path[:-1]))


def names_in(model: Any, path: Sequence[str]) -> list[str]:
    """The settings that exist where an unknown one was said."""
    for part in path:
        model = model.model_fields[part].annotation if part in model.model_fields else model
        model = next((kind for kind in getattr(model, "__args__", ()) if hasattr(kind, "model_fields")), model)
    return [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]


def unknown(where: str, name: str, names: Sequence[str]) -> str:
    """One line about a name that does not exist: the nearest one and all valid ones."""
    said = [known for known in names if not known.startswith("_")]
    near = difflib.get_close_matches(name, said, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    return f"{where}: no such setting{hint} valid: {', '.join(sorted(said))}"


def sense(config: Config) -> None:
    """Refuse combinations that cannot run, each in one line."""
    dataset, framework = config.dataset, config.framework
    plain, tid = framework.name_of_choice.removesuffix("_tid"), framework.name_of_choice.removesuffix("_tid") + "_tid"
    if dataset.timesteps_in_data and not framework.timesteps_in_data:
        raise ConfigError(f"dataset {dataset.name} has timesteps in its data, framework={plain} repeats: use framework={tid}")
    if framework.timesteps_in_data and not dataset.timesteps_in_data:
        raise ConfigError(f"dataset {dataset.name} has no timesteps in its data, framework={tid} needs them: use framework={plain}")
    dims = len(dataset.shape) - 1
    if config.model.dims not in (None, dims):
        raise ConfigError(f"model.dims={config.model.dims} but dataset {dataset.name} is {dims}-D (shape {dataset.shape})")
    if isinstance(config.neuron, SpikingNeuron):
        threshold, reset = config.neuron.v_threshold, config.neuron.v_reset
        if reset is not None and reset >= threshold:
            raise ConfigError(f"neuron.v_reset={reset} must lie below neuron.v_threshold={threshold}")
        if config.surrogate is None:
            raise ConfigError("surrogate: a spiking neuron needs one, such as surrogate=atan")
    if config.protocol != "val_best" and any(getattr(c, "monitor", "").startswith("val/") for c in config.callbacks.values()):
        raise ConfigError(f"callbacks: early_stop watches validation, of which protocol={config.protocol} has none")
    if config.debug and config.protocol == "paper_best_on_test":
        raise ConfigError("debug: a debug run reads no test set; use protocol=val_best or protocol=last")


def admitted(target: str, trust: Sequence[str] = ()) -> type[Any]:
    """The class that ``target`` names. ConfigError unless it is on the list (or trusted) and is what it says it is."""
    admissible("", target, trust)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{target} cannot be imported: {error}") from None
    expected = (ADMITTED[target].defined or target) if target in ADMITTED else target
    actual = f"{getattr(found, '__module__', '?')}.{getattr(found, '__qualname__', '?')}"
    if not inspect.isclass(found) or actual != expected:
        raise ConfigError(f"{target} is really {actual}: name the class where it is defined")
    return found


def build(node: Node, trust: Sequence[str] = (), **arguments: Any) -> Any:
    """The object that a node describes, with further constructor ``arguments`` where its class takes them.

    ConfigError where the settings do not fit the class's signature.
    """
    kind = admitted(node.target, trust)
    try:
        inspect.signature(kind).bind(**arguments, **node.parameters())
    except TypeError as error:
        raise ConfigError(f"{node.target}: {error}") from None
    return kind(**arguments, **node.parameters())
