"""The accuracy of recordings: it is measured where recordings give several samples, which only the data tell."""

from membrane.data.feed.groups import several_a_recording
from membrane.data.feed.module import DataModule
from membrane.errors import ConfigError
from membrane.learner import Learner
from membrane.metrics import Classification
from membrane.schema import Config
from membrane.schema.training_refusals import monitors


def measure_recordings(learner: Learner, data: DataModule) -> None:
    """Let validation and test measure ``acc_recording`` where recordings of their part give several samples."""
    after_epoch = "val" if learner.validation == "val" else "test"
    for name, measures in ((after_epoch, learner.validation_metrics), ("test", learner.test_metrics)):
        part = data.parts[name]
        if isinstance(measures, Classification) and len(part) and several_a_recording(part):
            measures.score_recordings()


def refuse_unmeasured_monitor(config: Config, learner: Learner) -> None:
    """Raise ConfigError if the accuracy of recordings shall be watched, but is not measured of these data."""
    for path, monitor in monitors(config).items():
        if monitor == "val/acc_recording" and "acc_recording" not in learner.validation_metrics.names:
            why = "no recording of the validation part gives several samples, all with one label"
            raise ConfigError(f"{path}.monitor={monitor} is not measured: {why}; use {path}.monitor=val/acc")
