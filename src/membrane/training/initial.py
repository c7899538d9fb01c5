"""Starting a run from the weights of another one, or as the continuation of a finished one."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf
from torch import Tensor, nn

from membrane.config.environment import environment_reads
from membrane.data.feed.division import Division
from membrane.errors import ConfigError, DataError
from membrane.files import durable
from membrane.files.digest import sha256
from membrane.neurons import neuron_layers
from membrane.runs.folder import checkpoint_of
from membrane.runs.table import require_whole
from membrane.schema import Config, Extend, Init
from membrane.schema.dataset import (
    VALIDATION_SHARE,
    Dataset,
    group_numbers,
    trained_on_test_part,
    trained_on_test_share,
)
from membrane.tracking.recorder import Recorder
from membrane.training import checkpoints

PREFIX = "model."
SPLIT = {
    "dataset._target_": None,
    "dataset.path": None,
    "protocol": "val_best",
    "dataset.fold": None,
    "dataset.leave_out": None,
}
DRAWN = {"dataset.validation": VALIDATION_SHARE, "dataset.split_seed": 0}
"""Settings that divide a data set, with their defaults; of one with a validation part of its own, the first alone."""


def start_from(init: Init, model: nn.Module) -> str:
    """Load the weights of ``init``'s checkpoint into a model and return a line that says which tensors were loaded.

    All tensors must fit, except those of skipped modules and a neuron's own parameters that one side lacks: so an
    ANN's weights start its SNN, and a PLIF net's a LIF net. Raises ConfigError for the first one that does not.
    """
    file = checkpoint_of(init.path)
    if sha256(file) != init.sha256:
        raise ConfigError(f"init: {file} is not the checkpoint that it was: its SHA-256 is no longer {init.sha256}")
    wanted, stored = model.state_dict(), model_weights(file)
    for name in init.skip:
        if not any(in_modules(key, [name]) for key in (*wanted, *stored)):
            modules = ", ".join(dict.fromkeys(key.rpartition(".")[0] for key in wanted))
            raise ConfigError(f"init.skip: neither the model nor the checkpoint has {name}; the model has {modules}")
    neurons = set(neuron_layers(model))
    for key in dict.fromkeys([*wanted, *stored]):
        if not in_modules(key, init.skip):
            require_same_shape(key, wanted.get(key), stored.get(key), neurons)
    loaded = {key: stored[key] for key in wanted if key in stored and not in_modules(key, init.skip)}
    checkpoints.require_same_kinds(wanted, loaded)
    model.load_state_dict(loaded, strict=False)
    others = {
        "begun anew": [key for key in wanted if key not in loaded],
        "left": [key for key in stored if key not in loaded],
    }
    rest = "".join(f"; {fate}: {', '.join(keys)}" for fate, keys in others.items() if keys)
    return f"{len(loaded)} tensors from {file}{rest}"


def require_unseen_test_part(init: Init, dataset: Dataset) -> None:
    """Raise ConfigError if the run whose weights ``init`` names was trained on samples that are tested here."""
    if line := trained_on_test_part(dataset, saved_dataset(checkpoint_of(init.path))):
        raise ConfigError(f"init: {line}: take a run that left out the same")


def require_unseen_test_share(checkpoint: Path, dataset: Dataset, division: Division) -> None:
    """Raise ConfigError if a share of the samples is tested, and the weights were trained with another one left out."""
    if division.own_parts == 1 and (line := trained_on_test_share(dataset, saved_dataset(checkpoint))):
        raise ConfigError(f"{line}: leave it as it was")


def saved_dataset(checkpoint: Path) -> dict[str, Any]:
    """Return the node of the data set in a checkpoint's configuration; empty if there is none."""
    saved = checkpoints.read_checkpoint(checkpoint)["membrane"].get("config")
    node = saved.get("dataset") if isinstance(saved, dict) else None
    return node if isinstance(node, dict) else {}


def trained_on_validation_part(config: Config, official: bool) -> str | None:
    """Return a line if the weights that a run starts from were trained on samples that validate in it; else None.

    They were if that run had the same data set, divided in another way. ``official`` says that the data set's own
    validation part validates, which share and seed of a split do not change.
    """
    if config.init is None or config.protocol != "val_best":
        return None
    saved = checkpoints.read_checkpoint(checkpoint_of(config.init.path))["membrane"].get("config")
    before, now = (split_settings(each, official) for each in (saved or {}, config.model_dump(by_alias=True)))
    if before["dataset._target_"] != now["dataset._target_"] or before["dataset.path"] != now["dataset.path"]:
        return None
    others = [f"{key}={'null' if value is None else value}" for key, value in before.items() if value != now[key]]
    if not others:
        return None
    return (
        f"init: with {', '.join(others)} these weights were trained on samples that validate here: val/* is too good, "
        "and the best epoch is chosen by it; take a run that was divided as this one, or protocol=last"
    )


def split_settings(config: Mapping[str, Any], official: bool) -> dict[str, Any]:
    """Return the settings of a configuration, by path, that say which samples train; defaults where it has none."""
    node = OmegaConf.create(dict(config))
    defaults = {**SPLIT, **({} if official else DRAWN)}
    select = partial(OmegaConf.select, node, throw_on_resolution_failure=False)
    with environment_reads(closed=True):
        settings = {key: select(key, default=default) for key, default in defaults.items()}
    groups = settings["dataset.leave_out"]
    return {**settings, "dataset.leave_out": group_numbers(list(groups) if isinstance(groups, ListConfig) else groups)}


def model_weights(file: Path) -> dict[str, Tensor]:
    """Return the model's state dict from a learner's checkpoint."""
    state: dict[str, Tensor] = checkpoints.read_checkpoint(file)["state_dict"]
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}


def require_same_shape(key: str, wanted: Tensor | None, stored: Tensor | None, neurons: Collection[str]) -> None:
    """Raise ConfigError if a tensor differs in shape, or is missing on one side and no neuron's own parameter."""
    module = key.rpartition(".")[0]
    if wanted is None or stored is None:
        if module.removesuffix(".norm") in neurons:  # the norm is a part of an MPBN neuron
            return
    elif wanted.shape == stored.shape:
        return
    sizes = [None if tensor is None else list(tensor.shape) for tensor in (stored, wanted)]
    there, here = (f"is {size}" if size is not None else "does not exist" for size in sizes)
    way_out = f": init.skip=[{module}] leaves it out"
    raise ConfigError(f"init: {key} {there} in the checkpoint and {here} in this model{way_out}")


def in_modules(key: str, modules: Iterable[str]) -> bool:
    """Return whether a tensor belongs to one of the modules."""
    return any(key.startswith(f"{name}.") for name in modules)


CHECKPOINTS = ("best.ckpt", "last.ckpt")  # `last` comes last: with it the new run has begun


def require_extendable(extend: Extend) -> None:
    """Raise ConfigError, naming the file, if last.ckpt or metrics.csv of the run that is extended is damaged."""
    former = Path(extend.path)
    last = former / "checkpoints" / "last.ckpt"
    try:
        if not checkpoints.recorded_digests(last):
            raise DataError(f"{last}: its digest file {checkpoints.digest_file(last).name} is missing or empty")
        checkpoint = checkpoints.read_checkpoint(last)
        checkpoints.require_resumable(last, checkpoint)
        recorded = checkpoint["callbacks"].get(Recorder.__qualname__)
        length = recorded.get("bytes") if isinstance(recorded, dict) else None
        if not isinstance(length, int) or length < 1:
            raise DataError(f"{last}: it does not say how long metrics.csv was")
        require_whole(former / "metrics.csv", length)
    except DataError as error:
        reason = str(error).removesuffix("; rerun=true runs it anew")  # which is no way out for another run
        way_out = "put a whole copy in its place, or train without extend"
        raise ConfigError(f"extend={former} cannot be continued: {reason}: {way_out}") from None


def copy_from(extend: Extend, folder: Path) -> None:
    """Copy the table and the checkpoints of the run that is extended into the new run's folder.

    Raises ConfigError if the last checkpoint is no longer the one that the configuration names.
    """
    former = Path(extend.path)
    if sha256(former / "checkpoints" / "last.ckpt") != extend.sha256:
        raise ConfigError(f"extend={former} is not the run that it was: its last checkpoint is another")
    durable.write_copy(former / "metrics.csv", folder / "metrics.csv")
    for name in CHECKPOINTS:
        if (former / "checkpoints" / name).exists():
            for file in (f"{name}.sha256", name):
                durable.write_copy(former / "checkpoints" / file, folder / "checkpoints" / file)
