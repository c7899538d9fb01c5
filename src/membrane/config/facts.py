"""Facts of a data set that its files say: shape, classes, T, and a digest of their contents. Without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane.data.array_names import array_facts, located, source_files
from membrane.data.store.identity import files_identity
from membrane.data.store.location import remembered_digests
from membrane.errors import ConfigError, DataError
from membrane.schema.dataset import Arrays


def with_facts(raw: Mapping[str, Any], *, timesteps_stated: bool) -> dict[str, Any]:
    """Return the configuration with what the files of ``dataset=arrays`` say, where it is not stated.

    Raises ConfigError if they cannot be read, or have other timesteps than stated.
    """
    dataset, filled = raw.get("dataset"), dict(raw)
    if not isinstance(dataset, Mapping) or dataset.get("_target_") != Arrays.public:
        return filled
    if not isinstance(dataset.get("path"), str):
        forms = "a .npz or a folder of .npy with x_train and y_train, a .csv or a .ts"
        raise ConfigError(f"dataset=arrays needs dataset.path=FILE: {forms}")
    if {"shape", "classes", "sha256"} <= {key for key, value in dataset.items() if value is not None}:
        return filled  # saved with a run, whose data may lie elsewhere by now
    paths = raw.get("paths")
    root = Path(paths.get("data", "data")) if isinstance(paths, Mapping) else Path("data")
    try:
        facts = facts_of_files(dataset, root)
    except DataError as error:
        raise ConfigError(str(error)) from None
    timesteps = facts.pop("timesteps", None)
    if timesteps is not None:
        if timesteps_stated and raw.get("timesteps") != timesteps:
            has = f"{dataset['path']} has" if dataset.get("window") is None else "dataset.window is"
            reason = f"{has} {timesteps}, which are not re-binned: leave timesteps out"
            raise ConfigError(f"timesteps={raw.get('timesteps')}, but {reason}")
        filled["timesteps"] = timesteps
    filled["dataset"] = {**facts, **{key: value for key, value in dataset.items() if value is not None}}
    return filled


def facts_of_files(dataset: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return what the files say. Raises DataError if they cannot be read."""
    path = located(dataset["path"], root)
    timed, task = dataset.get("timesteps_in_data") is True, str(dataset.get("task", "classification"))
    window = dataset.get("window")
    facts = array_facts(path, timesteps_in_data=timed, task=task, window=window if type(window) is int else None)
    return {**facts, "sha256": files_identity(source_files(path), remembered_digests(root, "arrays"))}
