"""A run's saved files, read in one way: JSON files, result.json, config.yaml.

Imports neither pydantic nor, before a configuration is read, OmegaConf: `membrane status` reads thousands of folders.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from membrane.errors import ConfigError, DataError

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

RESULT = "result.json"
CONFIG = "config.yaml"
PROVENANCE = "provenance.json"


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object. Raises OSError if the file cannot be read, ValueError if it holds anything else."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def read_yaml(path: Path) -> "DictConfig | ListConfig":
    """Return a YAML file's content, its references unresolved.

    Raises OSError if the file cannot be read or holds a single value, YAMLError if it is not YAML.
    """
    from omegaconf import OmegaConf

    return OmegaConf.load(path)


def read_result(run_folder: Path) -> dict[str, Any]:
    """Return a finished run's result.json. Raises ConfigError if the run has none, DataError if it is damaged."""
    path = run_folder / RESULT
    if not path.is_file():
        raise ConfigError(f"{run_folder}: no finished run (no {RESULT})")
    try:
        return read_json(path)
    except ValueError:
        raise DataError(f"{path}: damaged, it is not JSON") from None


def read_provenance(run_folder: Path) -> dict[str, Any]:
    """Return a run's provenance.json, empty if there is none. Raises DataError if it is damaged."""
    path = run_folder / PROVENANCE
    try:
        return read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError:
        raise DataError(f"{path}: damaged, it is not JSON") from None


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
        raise DataError(f"{path}: no configuration can be read from it ({type(error).__name__})") from None
    return config
