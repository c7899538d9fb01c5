"""One run, from a configuration to its result: run → train → fit_and_test. What it is built from: `assembly.py`."""

import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from membrane.config.redaction import as_yaml, published
from membrane.data.feed.module import DataModule
from membrane.errors import ConfigError, DataError, InvalidValue, RunFailed, Stopped, located_line, one_line
from membrane.files import durable
from membrane.learner import Learner
from membrane.randomness import scoped
from membrane.runs.folder import RunFolder, checkpoint_of, failure_record
from membrane.runs.preparation import (
    finished_already,
    prepare,
    refuse_to_move_working_folder,
    require_unfinished,
    withdraw,
)
from membrane.runs.stopping import Pruned, Stop
from membrane.schema import Config
from membrane.schema.dataset import Arrays
from membrane.schema.environment import NOTHING, FromEnvironment
from membrane.tracking.health import Health
from membrane.tracking.log import log_to_file
from membrane.tracking.loggers import Tracker, build_tracker
from membrane.tracking.profile import Profiling
from membrane.tracking.progress import FitProgress
from membrane.tracking.recorder import Recorder
from membrane.training import checkpoints, results
from membrane.training.announcement import announce, refuse_other_data, write_provenance
from membrane.training.assembly import (
    build_callbacks,
    build_checkpointing,
    build_data,
    build_learner,
    build_trainer,
    framework_shape,
    set_arithmetic,
)
from membrane.training.buckets import refuse_buckets_without_lengths
from membrane.training.checkpointing import KeepBestAndLast
from membrane.training.clipping import warn_of_clipping
from membrane.training.evaluation import test_checkpoints
from membrane.training.initial import copy_from, require_unseen_test_share, start_from, trained_on_validation_part
from membrane.training.memory import halve_pieces, largest_micro_batch, out_of_memory, reuse_large_memory
from membrane.training.padding import refuse_padding
from membrane.training.recordings import measure_recordings, refuse_unmeasured_monitor
from membrane.training.run_length import average_is_young
from membrane.training.smallest_batch import refuse_batch_of_one

log = logging.getLogger(__name__)

Resumed = tuple[Path, dict[str, Any]]
"""The checkpoint that a run goes on from, and its content."""


def run(config: Config, stop: Stop) -> None:
    """Run an experiment in its folder, or go on with it. Raises RunFailed if it fails, Stopped if told to end.

    Raises ConfigError, leaving no run's folder that was not there, if the data show that the configuration cannot work.
    """
    folder = RunFolder(config)
    with folder.locked():
        if finished_already(config, folder):  # another process finished it meanwhile: what is finished is never cleared
            return
        require_unfinished(config, folder)
        refuse_to_move_working_folder(config, folder)
        aside = prepare(config, folder)
        saved_config = published(config)
        durable.write_utf8(folder.path / "config.yaml", as_yaml(saved_config))
        try:
            environment = config.environment
            with log_to_file(folder.path / "run.log", environment), recorded_failure(folder, config.trust, environment):
                train(config, saved_config, folder, stop)
        except ConfigError:
            withdraw(folder, aside)
            raise
        except Stopped as stopped:
            if stopped.saved or not folder.has_checkpoint():
                raise
            raise Stopped(stopped.why, stopped.code, saved=not stop.insisted, earlier=stop.insisted) from None


def train(config: Config, saved_config: dict[str, Any], folder: RunFolder, stop: Stop) -> None:
    """Fit and test; where memory runs out and ``on_oom`` allows, once more with each batch in smaller pieces."""
    set_arithmetic(config)
    stop.limit_to(config.max_time)
    pieces = 1
    while True:
        try:
            return fit_and_test(config, saved_config, folder, stop, pieces)
        except Exception as error:
            if not out_of_memory(error):
                raise
            pieces = halve_pieces(error, config.batch_size, pieces, config.on_oom)


def fit_and_test(config: Config, saved_config: dict[str, Any], folder: RunFolder, stop: Stop, pieces: int) -> None:
    """Build → fit → test → result, each batch in so many ``pieces``, or in more where its checkpoint has more."""
    resumed = newest_checkpoint(config, folder)
    if resumed is not None:
        pieces = max(pieces, resumed[1]["membrane"].get("pieces", 1))
    learner, data = learner_and_data(config, folder, resumed, pieces)
    announce(folder, config, data, learner)
    tracking = build_tracker(config, saved_config, folder.path, folder.fingerprint, folder.count_reruns())
    recorder = build_recorder(config, folder, learner, tracking)
    keeper = build_checkpointing(config, saved_config, folder, stop, pieces)
    profiling = [Profiling()] if config.trainer.profile else []
    health = [build_health(config, folder, learner, tracking)] if config.trainer.health else []
    shown = FitProgress(shown=config.trainer.progress)
    callbacks = [*build_callbacks(config), recorder, *health, keeper, shown, *profiling]
    trainer = build_trainer(config, folder.path, callbacks, pieces)
    device = trainer.strategy.root_device
    write_provenance(folder, config, data, learner, device, resumed=resumed is not None)
    reuse_large_memory()
    try:
        if config.finish and resumed is not None:
            fit = fit_so_far(config, resumed, recorder, keeper)
        else:
            with stop.deferred(), scoped(config.seed, "fit"):
                trainer.fit(learner, datamodule=data, ckpt_path=announced(resumed), weights_only=True)
            progress = trainer.fit_loop.epoch_progress.current  # `current_epoch` lags where nothing was left to do
            epochs = int(progress.processed)  # type: ignore[attr-defined]
            fit = results.Fit(recorder.seconds(), recorder.samples, epochs, keeper.best_metrics)
        tests = test_checkpoints(config, learner, data, folder.path)
        micro_batch = largest_micro_batch(len(data.training_part), config.batch_size, data.last_batch, pieces)
        results.finish(folder, config, learner, data, fit, tests, tracking, micro_batch)
    except BaseException:
        tracking.finish("failed")
        raise


def build_recorder(config: Config, folder: RunFolder, learner: Learner, tracker: Tracker) -> Recorder:
    """Build the callback that writes metrics.csv."""
    measured = config.protocol != "last"
    young = partial(average_is_young, config)
    return Recorder(folder.path / "metrics.csv", learner, tracker, config.log_every, measured, young)


def build_health(config: Config, folder: RunFolder, learner: Learner, tracker: Tracker) -> Health:
    """Build the callback that writes health.csv."""
    return Health(folder.path / "health.csv", learner, tracker, config.log_every, config.protocol != "last")


def learner_and_data(
    config: Config, folder: RunFolder, resumed: Resumed | None, pieces: int
) -> tuple[Learner, DataModule]:
    """Build the learner, with another run's weights where ``init`` says so, and read the data that it learns from."""
    learner = build_learner(config)
    if resumed is None and config.init is not None:
        log.info("init: %s", start_from(config.init, learner.model))
    data = build_data(config, learner, pieces)
    read_data(config, data)
    if resumed is not None:
        checkpoints.require_same_kinds(learner.state_dict(), resumed[1]["state_dict"])
        refuse_other_data(folder, data)
    refuse_padding(config, data)
    refuse_buckets_without_lengths(config, data)
    if resumed is None and config.init is not None:
        require_unseen_test_share(checkpoint_of(config.init.path), config.dataset, data.division)
    if resumed is None and (line := trained_on_validation_part(config, data.division.official)) is not None:
        log.warning("%s", line)
    measure_recordings(learner, data)
    refuse_unmeasured_monitor(config, learner)
    if resumed is None:  # an attempt that did not come to its first checkpoint may have left its table
        (folder.path / "metrics.csv").unlink(missing_ok=True)
    if not config.finish:
        refuse_batch_of_one(config, learner.framework, len(data.training_part), framework_shape(config), pieces)
    learner.scale = data.training_part.scale
    learner.augmentation.fit(data.training_part.valid_x(), data.training_part.scale)
    warn_of_clipping(learner, data.training_part)
    return learner, data


def read_data(config: Config, data: DataModule) -> None:
    """Read the data. Raises ConfigError if the person's own arrays hold a value that they may not.

    Raises DataError for other data that are wrong, and for files that cannot be read.
    """
    try:
        data.setup()
    except InvalidValue as error:
        if isinstance(config.dataset, Arrays):
            raise ConfigError(str(error)) from None
        raise


def newest_checkpoint(config: Config, folder: RunFolder) -> Resumed | None:
    """Return the checkpoint to go on from, that of the extended run in a new folder; None where training begins."""
    if config.extend is not None and not folder.has_checkpoint():
        copy_from(config.extend, folder.path)
    resumed = checkpoints.newest_readable(folder.path / "checkpoints")
    if resumed is not None:
        checkpoints.require_resumable(*resumed)
    return resumed


def announced(resumed: Resumed | None) -> Path | None:
    """Log what a run goes on from, and return the checkpoint's path."""
    if resumed is None:
        return None
    path, checkpoint = resumed
    log.info("resumed: from step %d in epoch %d, %s", checkpoint["global_step"], checkpoint["epoch"], path)
    return path


def fit_so_far(config: Config, resumed: Resumed, recorder: Recorder, keeper: KeepBestAndLast) -> results.Fit:
    """Return the fit that the newest checkpoint was written by, after restoring what the callbacks knew then."""
    path, checkpoint = resumed
    for callback in (recorder, keeper):
        callback.load_state_dict(checkpoint["callbacks"][callback.state_key])
    keeper.complete_best(path, checkpoint)
    if path.name != "last.ckpt":  # that one was damaged
        checkpoints.link_checkpoint(path, path.with_name("last.ckpt"))
    completed = checkpoints.completed_epochs(checkpoint)
    within = f"at step {checkpoint['global_step']}, " if checkpoints.is_within_epoch(checkpoint) else ""
    ended = f"finish=true {within}after {completed} of {config.epochs} epochs"
    log.info("%s: the checkpoints are tested as they are", ended)
    seconds, samples = recorder.seconds(), recorder.samples
    whole = completed == config.epochs or keeper.ended
    return results.Fit(seconds, samples, completed, keeper.best_metrics, None if whole else ended)


@contextmanager
def recorded_failure(
    folder: RunFolder, trust: Sequence[str] = (), environment: FromEnvironment = NOTHING
) -> Iterator[None]:
    """Turn an error of the block into RunFailed, after writing its traceback to FAILED.json and run.log.

    Its line names where in a file of the user's, whose classes ``trust`` names, it came from. What came from the
    ``environment`` is masked. A ConfigError passes: a run that was refused has not failed.
    """
    try:
        yield
    except Pruned:
        raise
    except ConfigError:
        logging.getLogger("traceback").exception("the configuration was refused")
        raise
    except Exception as error:
        logging.getLogger("traceback").exception("the run failed")  # to run.log, not to the terminal
        where = f"see {folder.path / 'FAILED.json'}"
        try:
            folder.write("FAILED.json", failure_record(one_line(error), traceback.format_exc(), environment))
        except OSError as reason:  # the disk is full or gone: what failed must be told all the same
            where = f"FAILED.json could not be written there: {folder.path} ({reason.strerror})"
        if isinstance(error, DataError):
            log.error("failed: %s", error)
        else:
            packages = {name.partition(".")[0] for name in trust}
            log.error("failed: %s; %s", located_line(error, packages), where)
        raise RunFailed from error
