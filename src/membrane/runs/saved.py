"""A run's saved files, read in one way: JSON files, result.json, config.yaml. Somebody else may have written them.

Imports neither pydantic nor, before a configuration is read, OmegaConf: `membrane status` reads thousands of folders.
"""

import math
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from membrane.errors import ConfigError, DataError, one_line
from membrane.files.capped import JSON_BYTES, TEXT_BYTES, read_capped
from membrane.files.json_text import parse_json
from membrane.files.yaml_text import require_small_yaml

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

RESULT = "result.json"
CONFIG = "config.yaml"
PROVENANCE = "provenance.json"


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object. Raises OSError if the file cannot be read, ValueError if a run writes no such thing."""
    content = parse_json(read_capped(path, JSON_BYTES))
    if not isinstance(content, dict):
        raise ValueError("not an object")
    for key, (expected, holds) in EXPECTED.get(path.name, {}).items():
        if key in content and not holds(content[key]):
            raise ValueError(f"{key} is not {expected}")
    if path.name == RESULT and "metrics" not in content:
        raise ValueError("it has no metrics")
    return content


def is_json_number(value: Any) -> bool:
    """Return whether a value of JSON is a number, true and false being none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_duration(value: Any) -> bool:
    """Return whether a value of JSON is a finite number, not below 0."""
    return is_json_number(value) and 0 <= value < math.inf


def is_json_count(value: Any) -> bool:
    """Return whether a value of JSON is a whole number, not below 0."""
    return isinstance(value, int) and is_duration(value)


def are_metrics(value: Any) -> bool:
    """Return whether a value of JSON is an object of numbers, some of which may be NaN."""
    return isinstance(value, dict) and all(map(is_json_number, value.values()))


def is_text(value: Any) -> bool:
    """Return whether a value of JSON is text."""
    return isinstance(value, str)


def is_object(value: Any) -> bool:
    """Return whether a value of JSON is an object."""
    return isinstance(value, dict)


def are_objects(value: Any) -> bool:
    """Return whether a value of JSON is a list of objects."""
    return isinstance(value, list) and all(map(is_object, value))


TEXT = ("text", is_text)
EXPECTED: Mapping[str, Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    RESULT: {
        "metrics": ("an object of numbers", are_metrics),
        "epochs": ("a whole number", is_json_count),
        "fit_seconds": ("a number of seconds", is_duration),
        "name": TEXT,
        "fingerprint": TEXT,
        "ended": TEXT,
    },
    PROVENANCE: {
        "versions": ("an object", is_object),
        "earlier": ("a list of objects", are_objects),
        "split": ("an object", is_object),
    },
}
"""File → key → the type that others count on, in words and as a condition, where the key is there."""


def read_yaml(path: Path) -> "DictConfig | ListConfig":
    """Return a YAML file's content, its references unresolved.

    Raises OSError if the file cannot be read, YAMLError if it is not YAML, ValueError if it would grow too large or is
    a single value.
    """
    from omegaconf import OmegaConf

    text = read_capped(path, TEXT_BYTES).decode("utf-8")
    require_small_yaml(text)
    try:
        return OmegaConf.load(StringIO(text))
    except OSError:  # OmegaConf's for a text that is one value
        raise ValueError("a single value, not a mapping") from None


def read_result(run_folder: Path) -> dict[str, Any]:
    """Return a finished run's result.json. Raises ConfigError if the run has none, DataError if it is damaged."""
    result = read_saved(run_folder / RESULT)
    if result is None:
        raise ConfigError(f"{run_folder}: no finished run (no {RESULT})")
    return result


def read_provenance(run_folder: Path) -> dict[str, Any]:
    """Return a run's provenance.json, empty if there is none. Raises DataError if it is damaged."""
    return read_saved(run_folder / PROVENANCE) or {}


def read_saved(path: Path) -> dict[str, Any] | None:
    """Return a JSON file of a run's folder, None if there is none. Raises DataError if it cannot be read."""
    try:
        return read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {why_unreadable(error)}; move the folder away") from None


def why_unreadable(error: Exception) -> str:
    """Return why a file could not be read, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"damaged ({type(error).__name__}: {one_line(error)})"


def read_config(run_folder: Path) -> "DictConfig":
    """Return a run's config.yaml as it was saved, unresolved. Raises DataError if it is missing or damaged."""
    from omegaconf import DictConfig
    from yaml import YAMLError

    path = run_folder / CONFIG
    try:
        config = read_yaml(path)
        if not isinstance(config, DictConfig):
            raise ValueError("not a mapping")
    except (OSError, ValueError, YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else one_line(error)
        raise DataError(f"{path}: no configuration can be read from it ({type(error).__name__}: {why})") from None
    return config
