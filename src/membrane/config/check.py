"""From a composed configuration to one that can be trusted: admission, types, refusals.

Nothing here imports torch before a configuration has been checked, and no name is imported before it is admitted.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError, create_model

from membrane.config.admission import ADMITTED, choice_names, refuse_unlisted, targets_in, trusted_names
from membrane.config.defaults import with_defaults
from membrane.config.environment import environment_reads, take_environment
from membrane.config.facts import with_facts
from membrane.config.habits import SETTINGS
from membrane.config.limits import limited_resolution, require_small_values
from membrane.config.messages import explain_validation, unknown_setting
from membrane.config.precision import fastest_precision
from membrane.errors import ConfigError, DataError, one_line
from membrane.files.digest import sha256
from membrane.runs.folder import checkpoint_of
from membrane.schema import GROUPS, MANY, Config, Node, Settings, Trusted
from membrane.schema.environment import NOTHING, FromEnvironment, hidden
from membrane.schema.refusals import refusal
from membrane.schema.training import MSE, CrossEntropy, Loss, Trainer
from membrane.scores import MONITORS

S = TypeVar("S", bound=Settings)

OF_FILES = ("experiment", "sweep")
"""Groups whose files set what others name, and that are no setting themselves."""
OPTIONAL = ("surrogate", "encoder", "regularizer", "logger")
"""Groups that can do without a choice."""
LOSS_OF: Mapping[str, type[Loss]] = {"classification": CrossEntropy, "regression": MSE}
"""Task → the loss where none is chosen."""


class Resolved(dict[str, Any]):
    """A resolved configuration as plain values, with what it took from the environment."""

    def __init__(self, values: Mapping[str, Any], environment: FromEnvironment = NOTHING) -> None:
        super().__init__(values)
        self.environment = environment


def environment_of(raw: Mapping[str, Any]) -> FromEnvironment:
    """Return what a resolved configuration took from the environment; nothing if it does not say."""
    return raw.environment if isinstance(raw, Resolved) else NOTHING


def resolved(composed: DictConfig) -> Resolved:
    """Return a composed configuration as plain values, with what its data and its task decide filled in.

    Raises ConfigError if a reference leads to nothing, or if the environment gives what it may not.
    """
    raw, environment = resolved_references(composed)
    with environment.hidden_in_errors():
        raw = with_task_defaults(with_facts(raw, timesteps_stated="timesteps" in composed))
    trainer = composed.get("trainer")
    has_layout = isinstance(trainer, Mapping) and "channels_last" in trainer
    return Resolved(raw if has_layout else with_layout_of_auto(raw), environment)


def resolved_references(composed: DictConfig) -> tuple[dict[str, Any], FromEnvironment]:
    """Return a composed configuration and its defaults as plain values, and what it took from the environment."""
    with environment_reads() as reads, limited_resolution():
        try:
            whole = with_defaults(composed)
            for group in GROUPS:
                if group not in (*MANY, *OPTIONAL, "loss") and whole.get(group) is None:
                    raise ConfigError(no_node_line(group, None))
            environment = take_environment(whole, reads)
            container = OmegaConf.to_container(whole, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", one_line(error)).strip('"')
            reason = re.sub(r"^maximum recursion depth.*", "its references lead too deep, or back to it", reason)
            line = f"{error.full_key}: {reason}" if error.full_key else reason
            raise ConfigError(hidden(line, [value for _, value in reads if value])) from None
    raw = {str(key): value for key, value in container.items()} if isinstance(container, dict) else {}
    require_small_values(raw)
    return raw, environment


def check(raw: Mapping[str, Any]) -> Config:
    """Return a resolved, composed configuration typed and frozen. Raises ConfigError (one line) if it cannot run."""
    environment = environment_of(raw)
    with environment.hidden_in_errors():
        return checked(raw).taking(environment)


def checked(raw: Mapping[str, Any]) -> Config:
    """Return a resolved configuration typed and frozen. Raises ConfigError if it cannot run."""
    require_small_values(raw)
    trust = trusted_names(raw.get("trust"))
    for key in raw:
        if key not in Config.model_fields:
            raise ConfigError(unknown_setting(key, key, (*Config.model_fields, *OF_FILES)))
    for path, target in targets_in(raw):
        refuse_unlisted(path, target, trust)
    nodes = {"trust": trust, **{group: check_group(group, raw.get(group)) for group in GROUPS}}
    if not nodes["neuron"].takes_surrogate:
        nodes["surrogate"] = None
    others = {"init": with_checkpoint_digest(raw.get("init")), "precision": chosen_precision(raw, nodes)}
    config = validated("", Config, {**raw, **nodes, **{key: value for key, value in others.items() if key in raw}})
    line = refusal(config)
    if line is not None:
        raise ConfigError(line)
    return config


def check_group(group: str, value: Any) -> Any:
    """Return the node of a group, or its nodes by name where several may be chosen, or None where none need be."""
    if group in MANY:
        return {name: check_node(f"{group}.{name}", entry) for name, entry in group_entries(group, value)}
    return None if not value and group in OPTIONAL else check_node(group, value)


def with_task_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with the loss and the monitor of the data set's task where none is chosen."""
    dataset = raw.get("dataset")
    task = str(dataset.get("task", "classification") if isinstance(dataset, Mapping) else "classification")
    loss, trainer = raw.get("loss") or {}, raw.get("trainer", {})
    filled = dict(raw)
    if task in LOSS_OF and isinstance(loss, Mapping):
        filled["loss"] = {"_target_": LOSS_OF[task].public, **loss}
    if task in LOSS_OF and isinstance(trainer, Mapping) and trainer.get("monitor") is None:
        filled["trainer"] = {**trainer, "monitor": MONITORS[task][0]}
    return filled


def with_layout_of_auto(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with channels last under ``precision=auto``."""
    trainer = raw.get("trainer")
    if raw.get("precision") != "auto" or not isinstance(trainer, Mapping):
        return raw
    return {**raw, "trainer": {**trainer, "channels_last": True}}


def chosen_precision(raw: Mapping[str, Any], nodes: Mapping[str, Any]) -> Any:
    """Return the precision, for `auto` the one that it means here: a run is known by what it computes in."""
    if raw.get("precision") != "auto":
        return raw.get("precision")
    settings = raw.get("trainer")
    trainer = validated("trainer", Trainer, settings if isinstance(settings, Mapping) else {})
    fused = trainer.fused and nodes["surrogate"] is not None and bool(nodes["surrogate"].choice)
    return fastest_precision(nodes["neuron"].name_of_choice, fused, trainer.accelerator)


def with_checkpoint_digest(init: Any) -> Any:
    """Return ``init`` with its checkpoint's digest if none is set. Raises ConfigError if there is no checkpoint."""
    if not isinstance(init, Mapping) or not isinstance(init.get("path"), str) or init.get("sha256") is not None:
        return init
    try:
        return {**init, "sha256": sha256(checkpoint_of(init["path"]))}
    except DataError as error:
        raise ConfigError(f"init: {error}") from None


def group_entries(group: str, value: Any) -> list[tuple[str, Any]]:
    """Return the named entries of a group of which several choices may be made, without those that are null."""
    if not isinstance(value or {}, Mapping):
        raise ConfigError(
            f"{group}: expected named entries such as {group}=[{GROUPS[group][1][0].choice}], got {value!r}"
        )
    return [(str(name), entry) for name, entry in (value or {}).items() if entry is not None]


def check_node(path: str, value: Any) -> Node:
    """Return the node at a path, checked against the settings of its ``_target_``."""
    base, choices = GROUPS[path.partition(".")[0]]
    if not isinstance(value, Mapping) or "_target_" not in value:
        raise ConfigError(no_node_line(path, value))
    node_class = ADMITTED.get(value["_target_"])
    if node_class is None:  # a trusted class; the last base says that more settings are allowed
        node_class = create_model(f"Trusted{base.__name__}", __base__=(base, Trusted))
    elif node_class not in choices:
        raise ConfigError(f"{path}._target_: {value['_target_']} is no {base.__name__.lower()}")
    return validated(path, node_class, value)


def no_node_line(path: str, value: Any) -> str:
    """Return one line on a ``value`` that stands where an object should be described."""
    group, _, entry = path.partition(".")
    names = choice_names(GROUPS[group][1])
    if path in SETTINGS:
        return f"{path}: nothing of that name is chosen; {SETTINGS[path]}"
    if entry and isinstance(value, Mapping):
        return f"{path}: set, but not chosen; write {group}=[{entry}] too, or one of {names}"
    what = "nothing is chosen" if value is None or isinstance(value, Mapping) else f"expected a choice, got {value!r}"
    return f"{path}: {what}; {group}=… is one of {names}"


def validated(path: str, settings_class: type[S], value: Mapping[str, Any]) -> S:
    """Return ``value`` as ``settings_class``.

    Raises ConfigError that names the first mistake, what would be right, and the nearest name.
    """
    try:
        return settings_class.model_validate(dict(value))
    except ValidationError as error:
        raise ConfigError(explain_validation(path, settings_class, error)) from None
