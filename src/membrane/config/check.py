"""From a composed configuration to one that can be trusted: admission, types, refusals; and from its nodes to objects.

Nothing here imports torch before a configuration has been checked, and no name is imported before it is admitted.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError, create_model

from membrane.config.admission import ADMITTED, admissible, choices_in, targets, trusted
from membrane.config.messages import explained, unknown
from membrane.config.precision import fastest
from membrane.errors import ConfigError, DataError, one_line
from membrane.files.digest import sha256
from membrane.runs.folder import checkpoint_of
from membrane.schema import GROUPS, MANY, Config, Node, Settings, Trusted
from membrane.schema.refusals import refusal
from membrane.schema.training import MSE, CrossEntropy, Loss, Trainer
from membrane.scores import MONITORS

S = TypeVar("S", bound=Settings)

OF_FILES = ("experiment", "sweep")
"""Groups whose files set what others name, and that are no setting themselves."""


OPTIONAL = ("surrogate", "regularizer", "logger")
"""Groups of which no choice may be made."""
LOSS_OF: Mapping[str, type[Loss]] = {"classification": CrossEntropy, "regression": MSE}
"""Task → the loss where none is chosen."""


def resolved(composed: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain values, with what its task decides. ConfigError for a reference to nothing."""
    try:
        whole = with_defaults(composed)
        for group in GROUPS:
            if group not in (*MANY, *OPTIONAL, "loss") and whole.get(group) is None:
                raise ConfigError(no_node(group, None))
        plain = OmegaConf.to_container(whole, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", one_line(error)).strip('"')
        raise ConfigError(f"{error.full_key}: {reason}" if error.full_key else reason) from None
    said = {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}
    return by_layout(by_task(said), "channels_last" in (composed.get("trainer") or {}))


def with_defaults(composed: DictConfig) -> DictConfig:
    """A composed configuration in which defaults that no file says can be referred to, as in ``${epochs}``."""
    said = OmegaConf.to_container(composed)
    assert isinstance(said, dict)
    for name, field in Config.model_fields.items():
        if name in GROUPS or field.is_required():
            continue
        default = field.get_default()
        default = default.model_dump() if isinstance(default, Settings) else default
        if name not in said:
            said[name] = default
        elif isinstance(default, dict) and isinstance(said[name], dict):
            said[name] = {**default, **said[name]}
    return OmegaConf.create(said)


def check(raw: Mapping[str, Any]) -> Config:
    """A resolved, composed configuration → typed and frozen. ConfigError (one line) for anything that cannot run."""
    trust = trusted(raw.get("trust"))
    for key in raw:
        if key not in Config.model_fields:
            raise ConfigError(unknown(key, key, (*Config.model_fields, *OF_FILES)))
    for place, target in targets(raw):
        admissible(place, target, trust)
    nodes: dict[str, Any] = {"trust": trust}
    for group, (kind, choices) in GROUPS.items():
        value = raw.get(group)
        if group in MANY:
            nodes[group] = {
                name: node(f"{group}.{name}", kind, choices, entry) for name, entry in entries(group, value)
            }
        elif not value and group in OPTIONAL:
            nodes[group] = None
        else:
            nodes[group] = node(group, kind, choices, value)
    if not nodes["neuron"].takes_surrogate:
        nodes["surrogate"] = None
    others = {"init": with_digest(raw.get("init")), "precision": precision(raw, nodes)}
    config = validated("", Config, {**raw, **nodes, **{key: value for key, value in others.items() if key in raw}})
    why_not = refusal(config)
    if why_not is not None:
        raise ConfigError(why_not)
    return config


def by_task(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the loss, and the metric that is watched, of the data set's task where none is said."""
    dataset = raw.get("dataset")
    task = dataset.get("task", "classification") if isinstance(dataset, Mapping) else "classification"
    loss, trainer = raw.get("loss") or {}, raw.get("trainer", {})
    said = dict(raw)
    if task in LOSS_OF and isinstance(loss, Mapping):
        said["loss"] = {"_target_": LOSS_OF[task].public, **loss}
    if task in LOSS_OF and isinstance(trainer, Mapping) and trainer.get("monitor") is None:
        said["trainer"] = {**trainer, "monitor": MONITORS[task][0]}
    return said


def by_layout(raw: dict[str, Any], said: bool) -> dict[str, Any]:
    """The configuration with channels last under ``precision=auto``, unless something was ``said`` of that."""
    trainer = raw.get("trainer")
    if said or raw.get("precision") != "auto" or not isinstance(trainer, Mapping):
        return raw
    return {**raw, "trainer": {**trainer, "channels_last": True}}


def precision(raw: Mapping[str, Any], nodes: Mapping[str, Any]) -> Any:
    """What is said; of `auto` what it means here, so that a run is known by what it computes in."""
    if raw.get("precision") != "auto":
        return raw.get("precision")
    said = raw.get("trainer")
    trainer = validated("trainer", Trainer, said if isinstance(said, Mapping) else {})
    fused = trainer.fused and nodes["surrogate"] is not None and bool(nodes["surrogate"].choice)
    return fastest(nodes["neuron"].name_of_choice, fused, trainer.accelerator)


def with_digest(init: Any) -> Any:
    """What a run starts from, with its checkpoint's digest where none is said. ConfigError where there is none."""
    if not isinstance(init, Mapping) or not isinstance(init.get("path"), str) or init.get("sha256") is not None:
        return init
    try:
        return {**init, "sha256": sha256(checkpoint_of(init["path"]))}
    except DataError as error:
        raise ConfigError(f"init: {error}") from None


def entries(group: str, value: Any) -> list[tuple[str, Any]]:
    """The named entries of a group of which several choices may be made."""
    if not isinstance(value or {}, Mapping):
        raise ConfigError(
            f"{group}: expected named entries such as {group}=[{GROUPS[group][1][0].choice}], got {value!r}"
        )
    return [(str(name), entry) for name, entry in (value or {}).items() if entry is not None]


def node(place: str, kind: type[Node], choices: Sequence[type[Node]], value: Any) -> Node:
    """One node of a group, checked against the settings of its ``_target_``."""
    if not isinstance(value, Mapping) or "_target_" not in value:
        raise ConfigError(no_node(place, value))
    found = ADMITTED.get(value["_target_"])
    if found is None:
        found = create_model(
            f"Trusted{kind.__name__}", __base__=(kind, Trusted)
        )  # the last one says that more settings are allowed
    elif found not in choices:
        raise ConfigError(f"{place}._target_: {value['_target_']} is no {kind.__name__.lower()}")
    return validated(place, found, value)


def no_node(place: str, value: Any) -> str:
    """What is wrong where an object should be described."""
    group, _, entry = place.partition(".")
    names = choices_in(GROUPS[group][1])
    if entry and isinstance(value, Mapping):
        return f"{place}: set, but not chosen; write {group}=[{entry}] too, or one of {names}"
    what = "nothing is chosen" if value is None or isinstance(value, Mapping) else f"expected a choice, got {value!r}"
    return f"{place}: {what}; {group}=… is one of {names}"


def validated(place: str, model: type[S], value: Mapping[str, Any]) -> S:
    """``value`` as ``model``; ConfigError that names the first mistake, what would be right, and the nearest name."""
    try:
        return model.model_validate(dict(value))
    except ValidationError as error:
        raise ConfigError(explained(place, model, error)) from None
