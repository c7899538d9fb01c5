"""A finished run continued as a new one: `extend=RUN epochs=200`."""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from membrane.config.check import Resolved, environment_of
from membrane.config.environment import interpolations, without_environment
from membrane.errors import ConfigError, DataError, one_line
from membrane.files.digest import sha256
from membrane.runs.contents import require_own_entries
from membrane.runs.fingerprint import UNSHAPING_SETTINGS, UNSHAPING_TRAINER
from membrane.runs.saved import CONFIG, RESULT, read_json, read_yaml
from membrane.schema import Config
from membrane.schema.training import Trainer

OF_ONE_COMMAND = ("paths", "rerun", "keep_going", "max_time", "finish")
"""Settings that belong to a command, and not to the experiment that is continued."""


def extended(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of the run that is continued, with what may be set anew; ``raw`` if none is.

    Raises ConfigError if there is no finished run, or if an override sets what the run has decided already.
    """
    extend = raw.get("extend")
    if not isinstance(extend, Mapping) or not isinstance(extend.get("path"), str):
        return raw
    keys = [re.split(r"[./]", line.lstrip("+").partition("=")[0]) for line in overrides]
    environment = environment_of(raw)
    with environment.hidden_in_errors():
        whole = continued(Path(extend["path"]), raw, keys)
    return Resolved(whole, environment.of_settings({"extend", *(key[0] for key in keys)}))


def continued(run: Path, raw: dict[str, Any], keys: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return a finished run's configuration, with what ``raw`` has for the keys that were typed."""
    whole, done, digest, from_environment = finished_run(run, [".".join(key) for key in keys])
    whole |= {key: raw[key] for key in OF_ONE_COMMAND if key in raw} | {"trust": raw.get("trust", [])}
    whole["extend"] = {"sha256": digest, **raw["extend"]}
    for key in keys:
        if key[0] in ("extend", "paths", "hydra", "sweep"):
            continue
        if not may_change(key) and ".".join(key) not in from_environment:
            raise ConfigError(f"{'.'.join(key)}: extend={run} takes it from that run; epochs can be said anew")
        whole[key[0]] = with_setting(whole.get(key[0]), raw.get(key[0]), key[1:])
    epochs = whole.get("epochs")
    if isinstance(epochs, bool) or not isinstance(epochs, int):
        raise ConfigError(f"epochs: expected a whole number, got {epochs!r}")
    if epochs <= done:
        raise ConfigError(f"epochs={epochs}: extend={run} begins after {done} epochs: say more than that")
    return whole


def with_setting(before: Any, typed: Any, keys: Sequence[str]) -> Any:
    """Return the settings ``typed`` in place of those ``before``, or these with the one that ``keys`` lead to first."""
    if keys and isinstance(before, Mapping) and isinstance(typed, Mapping) and keys[0] in typed:
        return {**before, keys[0]: copy.deepcopy(typed[keys[0]])}
    return copy.deepcopy(typed)


def finished_run(run: Path, replaced: Sequence[str]) -> tuple[dict[str, Any], int, str, set[str]]:
    """Return a finished run's configuration, epochs, last checkpoint's digest, and settings saved as an expression.

    Raises ConfigError if one is missing or damaged, or if the configuration reads the environment for a setting that is
    not ``replaced`` anew.
    """
    try:
        require_own_entries(run)
    except DataError as error:
        raise ConfigError(f"extend: {error}") from None
    if not (run / RESULT).is_file() or not (run / CONFIG).is_file():
        raise ConfigError(f"extend={run}: no finished run lies there; one that is unfinished goes on by itself")
    try:
        saved = read_yaml(run / CONFIG)
        if not isinstance(saved, DictConfig):
            raise ConfigError("its config.yaml is damaged")
        expressions = {".".join(map(str, keys)) for keys, _ in interpolations(OmegaConf.to_container(saved))}
        former = OmegaConf.to_container(without_environment(saved, replaced))
        done = int(read_json(run / RESULT)["epochs"])
        digest = sha256(run / "checkpoints" / "last.ckpt")
    except OSError as error:
        raise ConfigError(f"extend={run}: {error.filename}: {error.strerror}") from None
    except ConfigError as error:
        raise ConfigError(f"extend={run}: {error}") from None
    except (ValueError, KeyError, TypeError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"extend={run}: its config.yaml or result.json cannot be used: {one_line(error)}") from None
    assert isinstance(former, dict)
    if "trust" in former:
        raise ConfigError(f"extend={run}: its config.yaml says trust, which only you may: trust=[…]")
    return {str(key): value for key, value in former.items()}, done, digest, expressions


def may_change(key: Sequence[str]) -> bool:
    """Return whether a setting does not shape the result, or is the number of epochs."""
    if key[0] == "trainer" and len(key) > 1:
        return key[1] in UNSHAPING_TRAINER or declared_unshaping(Trainer, key[1])
    return (
        key[0] == "epochs" or (key[0] in UNSHAPING_SETTINGS and key[0] != "seed") or declared_unshaping(Config, key[0])
    )


def declared_unshaping(settings: type[Any], name: str) -> bool:
    """Return whether a field is declared UNSHAPING."""
    field = settings.model_fields.get(name)
    return (
        field is not None
        and isinstance(field.json_schema_extra, dict)
        and bool(field.json_schema_extra.get("unshaping"))
    )
