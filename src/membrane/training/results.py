"""Write what a finished fit leaves: outputs, figures, the printed table and result.json."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch

from membrane import neurons
from membrane.analysis.firing import record_spikes
from membrane.config.redaction import published
from membrane.data.feed.module import DataModule
from membrane.files import durable
from membrane.learner import EVALUATION, Learner
from membrane.report import figures
from membrane.report.per_class import as_csv, scores_of_outputs
from membrane.report.tables import results_table
from membrane.report.terminal import console
from membrane.runs import provenance
from membrane.runs.folder import RunFolder
from membrane.runs.table import read_rows
from membrane.runs.visibility import printable
from membrane.schema import Config
from membrane.scores import SCORES
from membrane.tracking.loggers import Tracker, sync_command
from membrane.training.checkpointing import TIES
from membrane.training.evaluation import CheckpointTest

log = logging.getLogger(__name__)


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


def result_content(
    folder: RunFolder, config: Config, learner: Learner, data: DataModule, fit: Fit, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Return the content of result.json."""
    is_snn, shown = neurons.is_snn(learner.model), published(config)
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
        "encoder": None if config.encoder is None else config.encoder.name_of_choice,
        "surrogate": None
        if config.surrogate is None
        else {key: value for key, value in shown["surrogate"].items() if key != "_target_"}
        | {"kind": config.surrogate.name_of_choice},
        "is_snn": is_snn,
        "dataset": shown["dataset"]["name"],
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
    return {part: int(min(len(data.parts[part]), most)) for part in ("val", "test")}


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
        micro_batch: training samples in memory at once, fewer than a batch's if memory had run out.
    """
    metrics = result_metrics(fit, tests, folder.path / "metrics.csv")
    write_outputs(folder.path / "outputs", tests["test"], config.dataset.task)
    best = best_checkpoint(config, fit, tests["test"])
    tracker.result(metrics, draw_run_figures(folder, config, learner, data, best) if config.figures else [])
    tracker.finish("success")
    console().print(results_table(printable(metrics), measured_samples(config, data)))
    if folder.debug:
        log.info("debug run: no result is kept; its files are in %s", folder.path)
        return
    (folder.path / "FAILED.json").unlink(missing_ok=True)
    result = result_content(folder, config, learner, data, fit, metrics)
    result |= {} if fit.ended is None else {"ended": fit.ended}
    result |= {"micro_batch": micro_batch, "best": best}
    folder.write("result.json", result)
    suggest_next(folder, config)


def write_outputs(folder: Path, tested: CheckpointTest, task: str) -> None:
    """Write test.npz and, in classification, per_class.csv into a folder."""
    outputs: dict[str, Any] = dict(tested.outputs)
    durable.write_whole(folder / "test.npz", lambda file: np.savez_compressed(file, **outputs))
    if task == "classification":
        table = as_csv(scores_of_outputs(tested.outputs)).encode()
        durable.write_whole(folder / "per_class.csv", lambda file: file.write(table))


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
    if any(line in ("-m", "--multirun", "--repeat") or line.startswith(bound) for line in overrides):
        return None
    kept = [line for line in typed if not line.lstrip("+").startswith(("seed=", "rerun=", "finish="))]
    return shlex.join([*provenance.program_command(), "sweep=seeds", *kept])


def draw_run_figures(
    folder: RunFolder, config: Config, learner: Learner, data: DataModule, best: Mapping[str, Any] | None
) -> list[Path]:
    """Draw the figures into the run's folder and return their paths; ``best`` is that of result.json."""
    spikes = record_spikes(learner.model, learner.framework, first_test_sample(learner, data))
    arrays = {layer: each.numpy() for layer, each in spikes.items()}
    kept = None if best is None else (int(best["epoch"]), best["monitor"].removeprefix("val/"))
    return figures.draw_figures(folder.path, arrays, config.dataset.task, kept)


def first_test_sample(learner: Learner, data: DataModule) -> torch.Tensor:
    """Return x [1,…] of the first test sample, as the model sees it."""
    batch = next(iter(data.test_dataloader()))
    seen = learner.augmented(batch, False, EVALUATION, 0)
    return seen.x[:1].to(learner.device)
