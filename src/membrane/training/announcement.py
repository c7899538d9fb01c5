"""The log lines and the provenance with which a run begins."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from membrane import neurons
from membrane.analysis.layers import model_table
from membrane.config.admission import admitted_class
from membrane.data.feed.module import DataModule
from membrane.errors import DataError
from membrane.learner import Learner
from membrane.models.norms import mixes_timesteps
from membrane.report.terminal import console
from membrane.runs import provenance
from membrane.runs.folder import RunFolder
from membrane.runs.processor import processor_name
from membrane.schema import Config, Trusted
from membrane.schema.dataset import Arrays
from membrane.schema.neuron import Neuron
from membrane.schema.surrogate import Surrogate
from membrane.training.assembly import framework_shape
from membrane.training.optimizers import describe_groups, parameter_groups
from membrane.training.run_length import length_warnings

log = logging.getLogger(__name__)


MACHINE = ("processor", "device", "kernels")
"""Keys of provenance.json, beside code and versions, that can change the last bits of a result."""
LET_THE_SHELL = "to have it in config.yaml let the shell fill it in, as setting=$VARIABLE"
FEW_CHANNELS = 4
"""Channels that images, such as of red, green, blue and depth, commonly have at most."""


def write_provenance(
    folder: RunFolder,
    config: Config,
    data: DataModule,
    learner: Learner,
    device: torch.device,
    resumed: bool = False,
) -> None:
    """Write provenance.json; a resumed run keeps what it held before under ``earlier``."""
    earlier = (folder.read("provenance.json") or {}) if resumed else {}
    kernels = provenance.neuron_kernels(device, config.neuron.name_of_choice, learner.model, config.precision)
    if config.trainer.compile:
        kernels += "; in training the model is compiled by torch"
    if neurons.is_snn(learner.model):
        log.info("%s", kernels)
    content = {
        "fingerprint": folder.fingerprint,
        "seed": config.seed,
        "git": provenance.git_state(),
        "code_digest": provenance.code_digest(),
        "versions": provenance.library_versions(),
        "processor": processor_name(),
        "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
        "kernels": kernels,
        "threads": torch.get_num_threads(),
        "deterministic": config.trainer.deterministic,
        "precision": config.precision,
        "data_hash": data.data_hash,
        "split_hash": data.split_hash,
        "split": data.division.facts(),
        "command": provenance.command_line(),
        "rerun": config.rerun,
    }
    if earlier.get("versions"):
        warn_of_other_conditions(earlier, content)
    parts = [*earlier.pop("earlier", []), earlier] if earlier else []
    if parts:
        content["earlier"] = parts
    folder.write("provenance.json", content)


def refuse_other_data(folder: RunFolder, data: DataModule) -> None:
    """Raise DataError if a resumed run's data, or their division, are not those that it began with."""
    earlier = folder.read("provenance.json") or {}
    for name, now in (("data_hash", data.data_hash), ("split_hash", data.split_hash)):
        if earlier.get(name) not in (None, now):
            changed = f"{name} {str(earlier[name])[:12]} → {now[:12]}"
            raise DataError(f"the data are not those that the run began with ({changed}); rerun=true runs it anew")


def warn_of_other_conditions(earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """Warn if a resumed run uses other code, versions or hardware."""
    changes = provenance.changes_since(earlier)
    changes += [f"{name} {earlier.get(name)} → {now[name]}" for name in MACHINE if earlier.get(name) != now[name]]
    if changes:
        log.warning("resumed under other conditions (%s): the result is no longer that of one code", ", ".join(changes))


def announce(folder: RunFolder, config: Config, data: DataModule, learner: Learner) -> None:
    """Print the table of layers and log the data's parts, the augmentation, the precision and the folder."""
    x = torch.zeros(2, *framework_shape(config))
    console().print(model_table(learner.model, learner.framework, x))
    sizes = ", ".join(f"{len(part)} {name}" for name, part in data.parts.items() if len(part))
    divided = f"protocol {config.protocol}{data.division.title()}, split {data.split_hash[:12]}"
    log.info("data: %s (%s), %s", config.dataset.name, sizes, divided)
    announce_axes(config)
    for line in data.division.notes():
        log.info("data: %s", line)
    for line in data.division.warnings():
        log.warning("%s", line)
    if config.surrogate is None:
        log.info("surrogate: none, %s takes none", config.neuron.name_of_choice)
    elif line := other_than_published(config.neuron, config.surrogate):
        log.info("surrogate: %s", line)
    if isinstance(config.model, Trusted) and not has_neuron(config, learner.model):
        log.warning("neuron: the model has no %s, so neuron=… changes nothing", config.neuron.name_of_choice)
    groups = parameter_groups(config.optimizer, learner)
    if len(groups) > 1:
        log.info("optimizer: %s", describe_groups(groups))
    log.info("augmentation: %s", learner.augmentation.describe())
    if learner.encoding is not None:
        log.info("encoder: %s", learner.encoding.describe())
    log.info("precision: %s%s", config.precision, ", channels last" if config.trainer.channels_last else "")
    announce_time(config, learner)
    for line in length_warnings(config, len(data.training_part)) if config.debug is None else ():
        log.warning("%s", line)
    log.info("epochs: 0 to %d, as in metrics.csv and the figures", config.epochs - 1)
    announce_environment(config)
    log.info("folder: %s", folder.path)


def announce_time(config: Config, learner: Learner) -> None:
    """Log in which pieces of time training goes, and over which of them batch norm normalises."""
    chunk = config.trainer.recompute
    if chunk is not None and chunk < config.timesteps:
        log.info("recomputation: in training %d of %d timesteps at a time", chunk, config.timesteps)
    if (
        config.neuron.spiking
        and mixes_timesteps(learner.model)
        and config.framework.name_of_choice.startswith("multistep")
    ):
        log.info("batch norm: in training, multi-step normalises over T·N at once, single-step at each timestep")


def announce_environment(config: Config) -> None:
    """Warn of settings that the environment gave: config.yaml does not hold their values, and evaluating needs them."""
    if names := config.environment.settings():
        log.warning("environment: %s: saved and shown as ${…}, never the value; %s", names, LET_THE_SHELL)


def announce_axes(config: Config) -> None:
    """Log the shape of arrays of the user's, its axes' names and the number of classes; nothing of other data sets."""
    if not isinstance(config.dataset, Arrays):
        return
    shape, axes = config.dataset.shape, "C,H,W" if len(config.dataset.shape) == 3 else "C,S"
    doubt = axes_doubt(shape)
    if config.dataset.timesteps_in_data:
        shape, axes = [config.timesteps, *shape], f"T,{axes}"
    count = f"{config.dataset.classes} {'classes' if config.dataset.task == 'classification' else 'targets'}"
    level = logging.WARNING if doubt else logging.INFO
    log.log(level, "data: each sample is [%s] = %s, %s%s", axes, list(shape), count, doubt)


def axes_doubt(shape: Sequence[int]) -> str:
    """Return the end of a line on a shape [C,…] that another order of axes would explain better; empty if it is usual.

    The channels of images are few, and a signal of as many channels as steps may be an image without them.
    """
    channels, *size = shape
    if len(size) == 2 and size[0] <= FEW_CHANNELS < channels:
        return "; if x has its channels first, numpy.moveaxis(x, -3, -1) is what is expected"
    if size == [channels] and channels > FEW_CHANNELS:
        return "; if x are images without an axis for channels, x[..., None] is what is expected"
    return ""


def has_neuron(config: Config, model: nn.Module) -> bool:
    """Return whether a model has the neuron of its configuration: one's own need not call ``neuron()``."""
    neuron_class = admitted_class(config.neuron.target, config.trust)
    return any(isinstance(module, neuron_class) for module in model.modules())


def other_than_published(neuron: Neuron, surrogate: Surrogate) -> str:
    """Return a line on a surrogate that is not the one of the neuron's paper; empty if it is, or none is known."""
    if neuron.published_with is None:
        return ""
    choice, settings = neuron.published_with
    used = surrogate.parameters()
    if surrogate.choice == choice and used == dict(settings):
        return ""
    typed = " ".join([f"surrogate={choice}", *(f"surrogate.{name}={value:g}" for name, value in settings.items())])
    shown = ", ".join([surrogate.name_of_choice, *(f"{name} {value}" for name, value in used.items())])
    return f"{shown}; {neuron.name_of_choice} was published with {typed}"
