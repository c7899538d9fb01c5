"""From a checked configuration to the objects that a run is put together from."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn

from membrane.analysis.listening import observing
from membrane.augment.pipeline import Pipeline
from membrane.config.admission import admitted_class
from membrane.config.build import build, build_callable, build_instance
from membrane.data.feed.module import DataModule
from membrane.encoders.encoder import Encoder
from membrane.encoders.encoding import Encoding
from membrane.errors import ConfigError, one_line
from membrane.fast.channels_last import lay_channels_last
from membrane.fast.paths import take_fast_paths
from membrane.fast.torch_compile import compile_training
from membrane.framework import Framework
from membrane.learner import Learner, Loss
from membrane.losses import OfPrediction, takes_prediction
from membrane.metrics import BY_TASK
from membrane.models.norms import set_momentum
from membrane.neurons import NeuronFactory, accepted_parameters
from membrane.neurons.first_forward import complete_neurons, needs_first_forward
from membrane.randomness import scoped
from membrane.readout import Readout
from membrane.runs.folder import RunFolder
from membrane.runs.stopping import Stop
from membrane.schema import Config, Trusted
from membrane.schema.model import TORCHS_MOMENTUM
from membrane.tracking.log import silence_libraries
from membrane.tracking.loggers import own_logger
from membrane.training import checkpoints
from membrane.training.buckets import refuse_fixed_timesteps
from membrane.training.checkpointing import KeepBestAndLast
from membrane.training.epoch_loop import loop_directly
from membrane.training.initial import require_unseen_test_part, start_from
from membrane.training.optimizers import build_optimizer
from membrane.training.own_code import refuse_unused_code
from membrane.training.recomputation import refuse_other_gradients
from membrane.training.schedules import build_schedule

log = logging.getLogger(__name__)


def set_arithmetic(config: Config) -> None:
    """Set torch's process-wide settings, anew for every run: threads, TF32, memory, how a GPU is looked for."""
    torch.set_num_threads(config.threads)
    torch.backends.cuda.matmul.allow_tf32 = config.trainer.tf32
    # With `trainer.deterministic` torch would fill all new memory with NaN, in case that it is read before it is
    # written, which takes a twentieth of a step and more.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if not torch.cuda.is_available():
        # Lightning 2.6.6 lets torch ask NVIDIA's library for GPUs; without one that is looked for on the disk again at
        # every optimiser step
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def rehearse(config: Config) -> None:
    """Build and drop what a run needs except its data. Raises ConfigError if something cannot be built.

    The fit builds its own optimiser and schedule; a logger that is not the user's is built only there.
    """
    learner = build_learner(config)
    if config.init is not None:
        require_unseen_test_part(config.init, config.dataset)
        start_from(config.init, learner.model)
    with scoped(config.seed, "initialisation"):
        refuse_fixed_timesteps(config, learner, example_input(config))
    build_data(config, learner)
    build_schedule(config, build_optimizer(config, learner), 100 * config.epochs, config.epochs)
    if isinstance(config.logger, Trusted):
        own_logger(config.logger, config.trust, Path())
    with silence_libraries():
        build_trainer(config, Path(), build_callbacks(config))


def build_callbacks(config: Config) -> list[L.Callback]:
    """Build the callbacks that the configuration names."""
    return [build_instance(L.Callback, node, config.trust) for node in config.callbacks.values()]


def build_checkpointing(
    config: Config, saved_config: dict[str, Any], folder: RunFolder, stop: Stop, pieces: int
) -> KeepBestAndLast:
    """Build the callback that writes checkpoints; they hold the saved configuration without its paths."""
    about = {
        "schema": 1,
        "config": {key: value for key, value in saved_config.items() if key != "paths"},
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


def build_learner(config: Config) -> Learner:
    """Build the learner around the model."""
    model, classes, encoder = build_model(config), config.dataset.classes, build_encoder(config)
    readout = build_callable(config.readout, config.trust, "(outputs, lengths)")
    return Learner(
        model=model,
        framework=build_framework(config),
        readout=readout,
        loss=build_loss(config, readout),
        regularizer=None if config.regularizer is None else build(config.regularizer, config.trust, model=model),
        augmentation=Pipeline(
            {name: build(node, config.trust) for name, node in config.augmentation.items()},
            classes=classes,
            timesteps_in_data=config.dataset.timesteps_in_data,
            seed=config.seed,
        ),
        encoding=None if encoder is None else Encoding(encoder, config.seed),
        metrics=partial(BY_TASK[config.dataset.task], classes),
        seed=config.seed,
        optimize=partial(build_optimizer, config),
        schedule=partial(build_schedule, config),
        validation="oracle" if config.protocol == "paper_best_on_test" else "val",
        collect_outputs=config.save_outputs,
    )


def build_model(config: Config) -> nn.Module:
    """Build the model, with initial weights that depend on the configuration and the seed alone, and its fast paths.

    Raises ConfigError if it cannot be built, or if code of the user's own in it would not run.
    """
    dataset = config.dataset
    with scoped(config.seed, "initialisation"):
        model = build_instance(
            nn.Module,
            config.model,
            config.trust,
            input_shape=frame_shape(config),
            classes=dataset.classes,
            timesteps=config.timesteps,
            neuron=build_neuron_factory(config),
        )
        refuse_unused_code(model, build_framework(config), example_input(config))
    if needs_first_forward(model):
        with observing(model):
            complete_neurons(model, partial(build_framework(config), model, example_input(config)))
    if config.trainer.recompute is not None:
        refuse_other_gradients(model, build_framework(config), example_input(config))
    if config.model.choice and config.model.bn_momentum != TORCHS_MOMENTUM:
        set_momentum(model, config.model.bn_momentum)
    take_fast_paths(model, config.trainer.fused, config.trainer.stem_once, config.trainer.timesteps_at_once)
    if config.trainer.channels_last:
        lay_channels_last(model)
    if config.trainer.compile:
        compile_training(model)
    return model


def build_framework(config: Config) -> Framework:
    """Build the framework."""
    recompute = {} if config.trainer.recompute is None else {"recompute": config.trainer.recompute}
    framework: Framework = build(config.framework, config.trust, timesteps=config.timesteps, **recompute)
    return framework


def build_encoder(config: Config) -> Encoder | None:
    """Build the encoder, None if there is none."""
    if config.encoder is None:
        return None
    return build_instance(Encoder, config.encoder, config.trust, timesteps=config.timesteps)


def frame_shape(config: Config) -> list[int]:
    """Return the shape of what the model sees of a sample at a timestep, [C,S] or [C,H,W]."""
    encoder = build_encoder(config)
    return list(config.dataset.shape) if encoder is None else encoder.frame_shape(config.dataset.shape)


def framework_shape(config: Config) -> list[int]:
    """Return the shape in which the framework gets a sample, [C,…] or [T,C,…]."""
    steps = [config.timesteps] if config.framework.timesteps_in_data else []
    return [*steps, *frame_shape(config)]


def example_input(config: Config) -> Tensor:
    """Return two samples of random numbers from 0 to 1, [2,…] or [2,T,…], in the shape that the framework gets.

    Raises ConfigError if this machine's memory cannot hold them.
    """
    shape = framework_shape(config)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if (size := 2 * 4 * math.prod(shape)) > memory:
        sizes = f"two samples of {shape} take {size / 1e9:,.0f} GB, this machine has {memory / 1e9:,.0f}"
        raise ConfigError(f"timesteps={config.timesteps}: {sizes}")
    return torch.rand(2, *shape)


def build_loss(config: Config, readout: Readout) -> Loss:
    """Build the loss; one on the prediction has a parameter for the readout, or is called with (prediction, y)."""
    takes_readout = "readout" in accepted_parameters(admitted_class(config.loss.target, config.trust))
    arguments = {"readout": readout} if takes_readout else {}
    loss: Loss = build_callable(config.loss, config.trust, "(prediction, y)", **arguments)
    return loss if takes_readout or not takes_prediction(loss) else OfPrediction(loss, readout)


def build_neuron_factory(config: Config) -> NeuronFactory:
    """Build a factory that gives a fresh neuron at every call, each with a surrogate object of its own."""
    surrogate = None if config.surrogate is None else partial(build_instance, nn.Module, config.surrogate, config.trust)
    neuron_class, node = admitted_class(config.neuron.target, config.trust), config.neuron
    return NeuronFactory(neuron_class, surrogate, node.parameters(), config.timesteps, config.seed, node.spiking)


def build_data(config: Config, learner: Learner, pieces: int = 1) -> DataModule:
    """Build the data module: the data set, divided as the protocol says."""
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
        last_batch=config.trainer.last_batch,
        buckets=config.trainer.buckets,
        seed=config.seed,
        validation=dataset.validation,
        split_seed=dataset.split_seed,
        fold=dataset.fold_number,
        test_share=dataset.test_share,
        leave_out=dataset.leave_out,
        before=(lambda batch, *where: pipeline.run(batch, "before", *where)) if before else None,
        overfit=config.debug.overfit if config.debug else None,
        workers=config.trainer.workers,
        worker_timeout=config.trainer.worker_timeout,
    )


def build_trainer(config: Config, folder: Path, callbacks: Sequence[L.Callback] = (), pieces: int = 1) -> L.Trainer:
    """Build Lightning's trainer, with everything switched off that membrane does itself."""
    settings, few = config.trainer, config.debug.batches if config.debug else None
    plugins: list[Any] = [checkpoints.WholeFiles()]
    if SLURMEnvironment.detect():
        plugins.append(SLURMEnvironment(auto_requeue=False))
    with refused_by_lightning(settings.accelerator):
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
    loop_directly(trainer)
    return trainer


@contextmanager
def refused_by_lightning(accelerator: str) -> Iterator[None]:
    """Raise what Lightning cannot run on this machine as a ConfigError."""
    try:
        yield
    except MisconfigurationException as error:
        way_out = "; trainer.accelerator=auto takes what there is" if accelerator == "gpu" else ""
        raise ConfigError(f"trainer: {one_line(error).rstrip('.!')}{way_out}") from None
