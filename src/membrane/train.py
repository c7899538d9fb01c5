"""The experiment: build → fit → test → result. What a configuration means is all here."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint
from torch import nn
from torch.optim import Optimizer

from membrane import checkpoints
from membrane.augment.pipeline import Pipeline
from membrane.checkpointing import KeepBestAndLast
from membrane.config import admitted, build
from membrane.data.module import DataModule
from membrane.errors import ConfigError
from membrane.extension import copy_from
from membrane.initial import start_from
from membrane.learner import Learner, Loss
from membrane.memory import halved, micro_batch, out_of_memory
from membrane.metrics import BY_TASK
from membrane.mistakes import one_line
from membrane.neurons import NeuronFactory
from membrane.randomness import scoped
from membrane.readout import Readout
from membrane.runs import RunFolder
from membrane.schedules import schedule
from membrane.schema import Config
from membrane.stopping import Stop
from membrane.tracking import results
from membrane.tracking.log import quiet
from membrane.tracking.loggers import tracker
from membrane.tracking.progress import Progress
from membrane.tracking.recorder import Recorder

log = logging.getLogger(__name__)


def run(config: Config, said: dict[str, Any], folder: RunFolder, stop: Stop) -> None:
    """One run, from the configuration to the last file of its folder; ``said`` is the configuration as saved.

    A run that was broken off goes on from its newest checkpoint.
    """
    torch.set_num_threads(config.threads)
    stop.within(config.max_time)
    pieces = 1
    while True:
        try:
            return attempt(config, said, folder, stop, pieces)
        except Exception as error:
            if not out_of_memory(error):
                raise
            pieces = halved(error, config.batch_size, pieces, config.on_oom)


def attempt(config: Config, said: dict[str, Any], folder: RunFolder, stop: Stop, pieces: int) -> None:
    """The run with each batch in so many ``pieces``, or in as many as before where it goes on from a checkpoint."""
    if config.extend is not None and not folder.begun():
        copy_from(config.extend, folder.path)
    begun = checkpoints.newest(folder.path / "checkpoints")
    if begun is not None:
        pieces = max(pieces, begun[1]["membrane"].get("pieces", 1))
    learner = build_learner(config, pieces)
    if begun is None and config.init is not None:
        log.info("init: %s", start_from(config.init, learner.model))
    data = build_data(config, learner, pieces)
    data.setup()
    learner.augmentation.fit(data.training_part.x, data.training_part.scale)
    results.announce(folder, config, data, learner)
    tracking = tracker(config, said, folder.path, folder.fingerprint, folder.reruns())
    recorder = Recorder(folder.path / "metrics.csv", learner, tracking, config.log_every, config.protocol != "last")
    keeper = keep_best_and_last(config, said, folder, stop, pieces)
    callbacks = build_callbacks(config)
    progress = [Progress()] if config.trainer.progress else []
    trainer = build_trainer(config, folder.path, [*callbacks, recorder, keeper, *progress], pieces)
    results.write_provenance(folder, config, data, trainer.strategy.root_device, resumed=begun is not None)
    try:
        with stop.deferred():
            trainer.fit(learner, datamodule=data, ckpt_path=resumed_from(begun), weights_only=True)
        fit = results.Fit(recorder.seconds(), recorder.samples, trainer.current_epoch, keeper.best_metrics)
        tests = test_checkpoints(config, learner, data, folder.path)
        results.finish(folder, config, learner, data, fit, tests, tracking, micro_batch(config.batch_size, pieces))
    except BaseException:
        tracking.finish("failed")
        raise


def resumed_from(begun: tuple[Path, dict[str, Any]] | None) -> Path | None:
    """The checkpoint that a run goes on from, announced."""
    if begun is None:
        return None
    path, checkpoint = begun
    log.info("resumed: from step %d in epoch %d, %s", checkpoint["global_step"], checkpoint["epoch"] + 1, path)
    return path


def rehearse(config: Config) -> None:
    """Build what a run needs, but for its data. ConfigError for what cannot be built."""
    learner = build_learner(config)
    if config.init is not None:
        start_from(config.init, learner.model)
    build_data(config, learner)
    with quiet():
        build_trainer(config, Path(), build_callbacks(config))


def build_callbacks(config: Config) -> list[L.Callback]:
    """What the person put beside the training loop."""
    return [build(node, config.trust) for node in config.callbacks.values()]


def keep_best_and_last(
    config: Config, said: dict[str, Any], folder: RunFolder, stop: Stop, pieces: int
) -> KeepBestAndLast:
    """The run's checkpoints; a model is rebuilt from the configuration in them, in whatever folder they lie."""
    about = {
        "schema": 1,
        "config": {key: value for key, value in said.items() if key != "paths"},
        "fingerprint": folder.fingerprint,
        "seed": config.seed,
        "pieces": pieces,
    }
    settings = config.trainer
    return KeepBestAndLast(
        folder.path / "checkpoints",
        settings.monitor if config.protocol == "val_best" else None,
        about,
        stop,
        steps=settings.checkpoint_steps,
        minutes=settings.checkpoint_minutes,
    )


def build_learner(config: Config, pieces: int = 1) -> Learner:
    """The model in its strategy, with initial weights that depend on the seed alone."""
    dataset = config.dataset
    with scoped(config.seed, "initialisation"):
        model = build(
            config.model,
            config.trust,
            input_shape=dataset.shape,
            classes=dataset.classes,
            timesteps=config.timesteps,
            neuron=neuron_factory(config),
        )
    readout = build(config.readout, config.trust)
    return Learner(
        model=model,
        framework=build(config.framework, config.trust, timesteps=config.timesteps),
        readout=readout,
        loss=build_loss(config, readout),
        regularizer=None if config.regularizer is None else build(config.regularizer, config.trust, model=model),
        augmentation=Pipeline(
            {name: build(node, config.trust) for name, node in config.augmentation.items()},
            classes=dataset.classes,
            timesteps_in_data=config.framework.timesteps_in_data,
            seed=config.seed,
        ),
        metrics=partial(BY_TASK[dataset.task], dataset.classes),
        seed=config.seed,
        optimize=partial(optimizer, config),
        schedule=partial(schedule_for, config),
        validation="oracle" if config.protocol == "paper_best_on_test" else "val",
        collect_outputs=config.save_outputs,
        pieces=pieces,
    )


def build_loss(config: Config, readout: Readout) -> Loss:
    """The loss, with the readout if it is one on the prediction: those on each timestep have no such parameter."""
    parameters = signature(admitted(config.loss.target, config.trust)).parameters
    loss: Loss = build(config.loss, config.trust, **({"readout": readout} if "readout" in parameters else {}))
    return loss


def neuron_factory(config: Config) -> NeuronFactory:
    """A fresh neuron at every call, each with a surrogate object of its own."""
    surrogate = None if config.surrogate is None else partial(build, config.surrogate, config.trust)
    kind = admitted(config.neuron.target, config.trust)
    node = config.neuron
    return NeuronFactory(kind, surrogate, node.parameters(), config.timesteps, config.seed, node.spiking)


def optimizer(config: Config, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser over the model's parameters."""
    made: Optimizer = build(config.optimizer, config.trust, params=list(parameters))
    return made


def schedule_for(config: Config, optimizer: Optimizer, steps: int, epochs: int) -> dict[str, Any]:
    """The schedule in Lightning's terms, over ``steps`` or ``epochs`` as the configuration counts."""
    node = config.scheduler
    per_epoch = steps / epochs if node.interval == "step" else 1
    made = schedule(
        optimizer,
        admitted(node.target, config.trust),
        node.parameters(),
        length=steps if node.interval == "step" else epochs,
        warmup=round(node.warmup * per_epoch),
    )
    return {"scheduler": made, "interval": node.interval}


def build_data(config: Config, learner: Learner, pieces: int = 1) -> DataModule:
    """The data set under the protocol."""
    dataset, pipeline = config.dataset, learner.augmentation
    before = any(augmentation.before for _, augmentation in pipeline.entries())
    return DataModule(
        build(dataset, config.trust),
        root=Path(config.paths.data),
        shape=dataset.shape,
        classes=dataset.classes,
        task=dataset.task,
        timesteps=config.timesteps,
        timesteps_in_data=dataset.timesteps_in_data,
        protocol=config.protocol,
        batch_size=config.batch_size,
        pieces=pieces,
        seed=config.seed,
        split_seed=dataset.split_seed,
        before=(lambda batch, *where: pipeline.run(batch, "before", *where)) if before else None,
        overfit=config.debug.overfit if config.debug else None,
        workers=config.trainer.workers,
        worker_timeout=config.trainer.worker_timeout,
    )


def build_trainer(config: Config, folder: Path, callbacks: Sequence[L.Callback] = (), pieces: int = 1) -> L.Trainer:
    """Lightning's trainer, with everything switched off that membrane does itself."""
    settings, few = config.trainer, config.debug.batches if config.debug else None
    plugins: list[Any] = [checkpoints.WholeFiles()]
    if SLURMEnvironment.detect():
        plugins.append(SLURMEnvironment(auto_requeue=False))
    with refused_by_lightning():
        trainer = L.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            precision=config.precision,
            max_epochs=config.epochs,
            accumulate_grad_batches=settings.accumulate * pieces,
            gradient_clip_val=settings.clip_norm,
            deterministic=settings.deterministic,
            limit_train_batches=few,
            limit_val_batches=0 if config.protocol == "last" else few,
            limit_test_batches=few,
            callbacks=list(callbacks),
            plugins=plugins,
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=any(isinstance(each, Checkpoint) for each in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    if trainer.precision != config.precision:  # Lightning takes what the device has, and only warns
        raise ConfigError(f"this device has no precision={config.precision}: use precision={trainer.precision}")
    return trainer


@contextmanager
def refused_by_lightning() -> Iterator[None]:
    """Inside, what Lightning cannot run on this machine is a ConfigError."""
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {one_line(error)}") from None


@dataclass(frozen=True)
class Test:
    """What one checkpoint scored on the test set: `loss`, `acc`, … and the arrays of `outputs/test.npz`."""

    metrics: dict[str, float]
    outputs: dict[str, np.ndarray]
    checkpoint: Path


def test_checkpoints(config: Config, learner: Learner, data: DataModule, folder: Path) -> dict[str, Test]:
    """`test`: the checkpoint that the protocol selects; `test_last`: the last epoch's."""
    last = test(config, learner, data, folder / "checkpoints" / "last.ckpt")
    if config.protocol != "val_best":
        return {"test": last, "test_last": last}
    return {"test_last": last, "test": test(config, learner, data, folder / "checkpoints" / "best.ckpt")}


def test(config: Config, learner: Learner, data: DataModule, checkpoint: Path) -> Test:
    """The learner with a checkpoint's weights on the test set."""
    checkpoints.load_into(learner, checkpoints.load(checkpoint)["state_dict"])
    trainer = build_trainer(config, checkpoint.parent)
    trainer.test(learner, datamodule=data, verbose=False)
    metrics = {name.removeprefix("test/"): float(value) for name, value in trainer.callback_metrics.items()}
    names = learner.collected[0]
    outputs = {name: torch.cat([batch[name] for batch in learner.collected]).numpy() for name in names}
    return Test(metrics, outputs, checkpoint)
