"""The experiment: build → fit → test → result. What its objects are: `assembly.py`."""

import logging
from pathlib import Path
from typing import Any

from membrane.randomness import scoped
from membrane.runs.folder import RunFolder
from membrane.runs.stopping import Stop
from membrane.schema import Config
from membrane.tracking.loggers import tracker
from membrane.tracking.profile import Profiling
from membrane.tracking.progress import Progress
from membrane.tracking.recorder import Recorder
from membrane.training import checkpoints, results
from membrane.training.assembly import (
    build_callbacks,
    build_data,
    build_learner,
    build_trainer,
    keep_best_and_last,
    set_arithmetic,
)
from membrane.training.evaluation import test_checkpoints
from membrane.training.initial import copy_from, start_from
from membrane.training.memory import halved, micro_batch, out_of_memory, reuse_large_memory

log = logging.getLogger(__name__)


def run(config: Config, said: dict[str, Any], folder: RunFolder, stop: Stop) -> None:
    """One run, from the configuration to the last file of its folder; ``said`` is the configuration as saved.

    A run that was broken off goes on from its newest checkpoint.
    """
    set_arithmetic(config)
    stop.limit_to(config.max_time)
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
    if config.extend is not None and not folder.has_checkpoint():
        copy_from(config.extend, folder.path)
    begun = checkpoints.newest(folder.path / "checkpoints")
    if begun is not None:
        pieces = max(pieces, begun[1]["membrane"].get("pieces", 1))
    learner = build_learner(config, pieces)
    if begun is None and config.init is not None:
        log.info("init: %s", start_from(config.init, learner.model))
    data = build_data(config, learner, pieces)
    data.setup()
    if begun is None:  # an attempt that did not come to its first checkpoint may have left its table
        (folder.path / "metrics.csv").unlink(missing_ok=True)
    learner.augmentation.fit(data.training_part.x, data.training_part.scale)
    results.announce(folder, config, data, learner)
    tracking = tracker(config, said, folder.path, folder.fingerprint, folder.count_reruns())
    recorder = Recorder(folder.path / "metrics.csv", learner, tracking, config.log_every, config.protocol != "last")
    keeper = keep_best_and_last(config, said, folder, stop, pieces)
    callbacks = build_callbacks(config)
    progress = [Progress()] if config.trainer.progress else []
    profile = [Profiling()] if config.trainer.profile else []
    trainer = build_trainer(config, folder.path, [*callbacks, recorder, keeper, *progress, *profile], pieces)
    device = trainer.strategy.root_device
    results.write_provenance(folder, config, data, learner, device, resumed=begun is not None)
    reuse_large_memory()
    try:
        with stop.deferred(), scoped(config.seed, "fit"):
            trainer.fit(learner, datamodule=data, ckpt_path=resumed_from(begun), weights_only=True)
        done = trainer.fit_loop.epoch_progress.current  # `current_epoch` lags where nothing was left to do
        epochs = int(done.processed)  # type: ignore[attr-defined]
        fit = results.Fit(recorder.seconds(), recorder.samples, epochs, keeper.best_metrics)
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
