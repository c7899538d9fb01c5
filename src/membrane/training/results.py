"""The lines and files of a run before and after training: provenance, summary, outputs, figures, result."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from membrane import neurons
from membrane.analysis.firing import record_spikes
from membrane.analysis.layers import model_table
from membrane.config.admission import admitted_class
from membrane.data.feed.module import DataModule
from membrane.errors import DataError
from membrane.files import durable
from membrane.learner import EVALUATION, Learner
from membrane.models.norms import mixes_timesteps
from membrane.report import figures
from membrane.report.tables import results_table
from membrane.report.terminal import console
from membrane.runs import provenance
from membrane.runs.folder import RunFolder
from membrane.runs.processor import processor_name
from membrane.runs.table import read_rows
from membrane.runs.visibility import printable
from membrane.schema import Config, Trusted
from membrane.schema.neuron import Neuron
from membrane.schema.surrogate import Surrogate
from membrane.scores import SCORES
from membrane.tracking.loggers import Tracker, sync_command
from membrane.training.checkpointing import TIES
from membrane.training.evaluation import CheckpointTest
from membrane.training.run_length import length_warnings

log = logging.getLogger(__name__)
MACHINE = ("processor", "device", "kernels")
"""Keys of provenance.json, beside code and versions, that can change the last bits of a result."""


@dataclass(frozen=True)
class Fit:
    """Seconds, samples and epochs that fitting took, and the `val/*` of the best checkpoint.

    ``ended`` says what ended the run before its last epoch, if ``finish=true`` did.
    """

    seconds: float
    samples: int
    epochs: int
    validation: dict[str, float]
    ended: str | None = None


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
        "command": provenance.command_line(),
        "rerun": config.rerun,
    }
    if earlier.get("versions"):
        compare_provenance(earlier, content)
    parts = [*earlier.pop("earlier", []), earlier] if earlier else []
    if parts:
        content["earlier"] = parts
    folder.write("provenance.json", content)


def compare_provenance(earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """Warn if a resumed run uses other code, versions or hardware. Raises DataError if the data changed."""
    for name in ("data_hash", "split_hash"):
        if earlier.get(name) not in (None, now[name]):
            changed = f"{name} {str(earlier[name])[:12]} → {str(now[name])[:12]}"
            raise DataError(f"the data are not those that the run began with ({changed}); rerun=true runs it anew")
    changes = provenance.changes_since(earlier)
    changes += [f"{name} {earlier.get(name)} → {now[name]}" for name in MACHINE if earlier.get(name) != now[name]]
    if changes:
        log.warning("resumed under other conditions (%s): the result is no longer that of one code", ", ".join(changes))


def announce(folder: RunFolder, config: Config, data: DataModule, learner: Learner) -> None:
    """Print the table of layers and log the data's parts, the augmentation, the precision and the folder."""
    samples = data.training_part
    x = torch.zeros(2, *samples.x.shape[1:])
    console().print(model_table(learner.model, learner.framework, x))
    sizes = ", ".join(f"{len(part)} {name}" for name, (part, _) in data.parts.items() if len(part))
    log.info("data: %s (%s), protocol %s, split %s", config.dataset.name, sizes, config.protocol, data.split_hash[:12])
    for line in data.warnings():
        log.warning("%s", line)
    if config.surrogate is None:
        log.info("surrogate: none, %s takes none", config.neuron.name_of_choice)
    elif line := other_than_published(config.neuron, config.surrogate):
        log.info("surrogate: %s", line)
    if isinstance(config.model, Trusted) and not has_neuron(config, learner.model):
        log.warning("neuron: the model has no %s, so neuron=… changes nothing", config.neuron.name_of_choice)
    log.info("augmentation: %s", learner.augmentation.describe())
    log.info("precision: %s%s", config.precision, ", channels last" if config.trainer.channels_last else "")
    if (
        config.neuron.spiking
        and mixes_timesteps(learner.model)
        and config.framework.name_of_choice.startswith("multistep")
    ):
        log.info("batch norm: in training, multi-step normalises over T·N at once, single-step at each timestep")
    for line in length_warnings(config, len(samples)) if config.debug is None else ():
        log.warning("%s", line)
    log.info("epochs: 0 to %d, as in metrics.csv and the figures", config.epochs - 1)
    log.info("folder: %s", folder.path)


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


def result_content(
    folder: RunFolder, config: Config, learner: Learner, data: DataModule, fit: Fit, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Return the content of result.json."""
    is_snn = neurons.is_snn(learner.model)
    repeats = is_snn or config.framework.timesteps_in_data
    return {
        "schema": 1,
        "status": "finished",
        "name": config.name,
        "fingerprint": folder.fingerprint,
        "seed": config.seed,
        "protocol": config.protocol,
        "framework": config.framework.name_of_choice,
        "model": config.model.name_of_choice,
        "neuron": config.neuron.name_of_choice,
        "surrogate": None
        if config.surrogate is None
        else config.surrogate.model_dump(exclude={"target"}) | {"kind": config.surrogate.name_of_choice},
        "is_snn": is_snn,
        "dataset": config.dataset.name,
        "task": config.dataset.task,
        "split_hash": data.split_hash,
        "timesteps": config.timesteps,
        "forward_passes_per_sample": config.timesteps if repeats else 1,
        "precision": config.precision,
        "parameters": sum(parameter.numel() for parameter in learner.model.parameters()),
        "epochs": fit.epochs,
        "fit_seconds": round(fit.seconds, 3),
        "samples_per_second": round(fit.samples / fit.seconds, 1),
        "metrics": dict(metrics),
    }


def best_checkpoint(config: Config, fit: Fit, tested: CheckpointTest) -> dict[str, Any] | None:
    """Return which checkpoint validation selected, for result.json; None under a protocol that selects none."""
    monitor = config.trainer.monitor
    if config.protocol != "val_best" or monitor is None:
        return None
    value = fit.validation.get(monitor)
    return {"epoch": tested.epoch, "step": tested.step, "monitor": monitor, "value": value, "ties": TIES}


def result_metrics(fit: Fit, tests: Mapping[str, Any], table: Path) -> dict[str, float]:
    """Return `val/*`, `test/*` and `test_last/*`, and under the paper's protocol what papers compare.

    ``tests`` are the tested checkpoints by prefix, ``table`` is metrics.csv.
    """
    metrics = dict(fit.validation)
    for name, test in tests.items():
        metrics |= {f"{name}/{metric}": value for metric, value in test.metrics.items()}
    rows = read_rows(table)
    for name in (name for name, score in SCORES.items() if score.compared):
        if oracle := [row[f"oracle/{name}"] for row in rows if f"oracle/{name}" in row]:
            metrics[f"test/{name}_mean_last10"] = float(np.mean(oracle[-10:]))
            metrics[f"test/{name}_best_oracle"] = (min if SCORES[name].lower_is_better else max)(oracle)
    return metrics


def measured_samples(config: Config, data: DataModule) -> dict[str, int]:
    """Return the numbers of samples that validation and test looked at: a debug run takes a few batches of each."""
    batches = config.debug.batches if config.debug else None
    most = inf if batches is None else batches * config.batch_size
    return {part: int(min(len(data.parts[part][0]), most)) for part in ("val", "test")}


def finish(
    folder: RunFolder,
    config: Config,
    learner: Learner,
    data: DataModule,
    fit: Fit,
    tests: Mapping[str, CheckpointTest],
    tracker: Tracker,
    micro_batch: int,
) -> None:
    """Write outputs and figures, end the tracker, print the results, and last of all write result.json.

    Arguments:
        folder: the run's folder.
        config: its configuration.
        learner: with the weights of the tested checkpoint, for the figure of its spikes.
        data: gives the sizes of the parts, and the sample whose spikes are drawn.
        fit: what fitting took.
        tests: the tested checkpoints by prefix, ``test`` and ``test_last``.
        tracker: the run's logger.
        micro_batch: samples that were in memory at once, fewer than the batch size if memory had run out.
    """
    metrics = result_metrics(fit, tests, folder.path / "metrics.csv")
    outputs: dict[str, Any] = dict(tests["test"].outputs)
    if (group := data.parts["test"][0].group) is not None:
        outputs["group"] = group.numpy()[outputs["index"]]
    if (names := data.parts["test"][0].classes) is not None:
        outputs["classes"] = np.array(names)
    durable.write_whole(folder.path / "outputs" / "test.npz", lambda file: np.savez_compressed(file, **outputs))
    tracker.result(metrics, draw_run_figures(folder, config, learner, data) if config.figures else [])
    tracker.finish("success")
    console().print(results_table(printable(metrics), measured_samples(config, data)))
    if folder.debug:
        log.info("debug run: no result is kept; its files are in %s", folder.path)
        return
    (folder.path / "FAILED.json").unlink(missing_ok=True)
    result = result_content(folder, config, learner, data, fit, metrics)
    result |= {} if fit.ended is None else {"ended": fit.ended}
    result |= {"micro_batch": micro_batch, "best": best_checkpoint(config, fit, tests["test"])}
    folder.write("result.json", result)
    suggest_next(folder, config)


def suggest_next(folder: RunFolder, config: Config) -> None:
    """Log the commands that evaluate the run and that run it under five seeds."""
    log.info("folder: %s", folder.path)
    if (sync := sync_command(folder.path)) is not None:
        log.info("wandb:  %s", sync)
    # the configuration that a run saves does not say whom to trust
    trust = f" 'trust=[{','.join(config.trust)}]'" if config.trust else ""
    log.info("next:   %s %s%s", shlex.join(provenance.evaluation_command()), folder.path, trust)
    if (command := five_seeds_command(provenance.typed_arguments())) is not None:
        log.info("        %s   for the spread over five seeds", command)


def five_seeds_command(typed: Sequence[str]) -> str | None:
    """Return the command that runs what was typed under five seeds; None if that was a sweep or names one folder."""
    overrides = [line.lstrip("+") for line in typed]
    bound = ("sweep=", "hydra.mode=", "paths.run=", "extend=", "extend.")
    if any(line in ("-m", "--multirun") or line.startswith(bound) for line in overrides):
        return None
    kept = [line for line in typed if not line.lstrip("+").startswith(("seed=", "rerun=", "finish="))]
    return shlex.join([*provenance.program_command(), "sweep=seeds", *kept])


def draw_run_figures(folder: RunFolder, config: Config, learner: Learner, data: DataModule) -> list[Path]:
    """Draw the figures into the run's folder and return their paths."""
    spikes = record_spikes(learner.model, learner.framework, first_test_sample(learner, data))
    return figures.draw_figures(
        folder.path, {layer: each.numpy() for layer, each in spikes.items()}, config.dataset.task
    )


def first_test_sample(learner: Learner, data: DataModule) -> torch.Tensor:
    """Return x [1,…] of the first test sample, as the model sees it."""
    batch = next(iter(data.test_dataloader()))
    seen = learner.augmented(batch, False, EVALUATION, 0)
    return seen.x[:1].to(learner.device)
