"""Trackers beside metrics.csv. None of them may ask anything or fail a run."""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from membrane.errors import one_line
from membrane.schema import Config
from membrane.schema.training import TensorBoard, Wandb

log = logging.getLogger(__name__)


class Tracker:
    """What a run tells its logger, which starts with the first numbers: until then nothing waits for it.

    The first call that fails silences the logger (one line says why), never the run.
    """

    def __init__(self, start: Callable[[], Logger | None], name: str) -> None:
        self.start: Callable[[], Logger | None] | None = start
        self.name = name
        self.logger: Logger | None = None

    def begin(self) -> None:
        """Start the logger, if it has not been."""
        start, self.start = self.start, None
        if start is not None:
            self.attempt(lambda: self.touch(start()))

    def touch(self, logger: Logger | None) -> None:
        """Lightning's loggers begin when they are first touched."""
        self.logger = logger
        if logger is not None:
            _ = logger.experiment  # type: ignore[attr-defined]

    def attempt(self, call: Callable[[], Any]) -> None:
        """Call, or give the logger up."""
        try:
            call()
        except Exception as error:  # whatever a tracker's library raises must not fail the run
            log.warning("%s is not available (%s); metrics.csv has everything", self.name, one_line(error))
            self.logger = None

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers at a step."""
        self.begin()
        if self.logger is not None:
            logger = self.logger
            self.attempt(lambda: logger.log_metrics(dict(values), step))

    def result(self, values: Mapping[str, float], figures: Sequence[Path]) -> None:
        """The run's result and its pictures, at its end."""
        if isinstance(self.logger, WandbLogger):
            run, images = self.logger.experiment, {f"figures/{path.stem}": path for path in figures}
            self.attempt(lambda: run.summary.update(dict(values)))
            self.attempt(lambda: run.log({name: image(path) for name, path in images.items()}))
        elif self.logger is not None:
            logger = self.logger
            self.attempt(lambda: logger.log_metrics(dict(values)))

    def finish(self, status: str) -> None:
        """``success`` or ``failed``."""
        if self.logger is not None:
            logger = self.logger
            self.attempt(lambda: logger.finalize(status))
            if isinstance(logger, WandbLogger):
                self.attempt(lambda: logger.experiment.finish(exit_code=0 if status == "success" else 1))
        self.logger = None


def tracker(config: Config, said: dict[str, Any], folder: Path, fingerprint: str, reruns: int) -> Tracker:
    """The tracker that the configuration names; ``said`` is the configuration as it may be shown."""

    def start() -> Logger | None:
        if isinstance(config.logger, Wandb):
            return weights_and_biases(config, config.logger, said, folder, fingerprint, reruns)
        if isinstance(config.logger, TensorBoard):
            return TensorBoardLogger(save_dir=folder, name="tensorboard", version="", default_hp_metric=False)
        return None

    return Tracker(start, config.logger.name_of_choice if config.logger else "csv")


def weights_and_biases(
    config: Config, logger: Wandb, said: dict[str, Any], folder: Path, fingerprint: str, reruns: int
) -> Logger:
    """Weights & Biases: online where the person is logged in and it answers, offline otherwise."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))

    def start(mode: Literal["online", "offline", "disabled"]) -> Logger:
        made = WandbLogger(
            project=logger.project,
            entity=logger.entity,
            tags=logger.tags,
            name=f"{config.name}-seed{config.seed}",
            id=identity(config.name, fingerprint, config.seed, reruns),
            group=fingerprint,
            config=said,
            save_dir=str(folder),
            mode=mode,
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=30, disable_git=True, x_disable_stats=True
            ),
        )
        _ = made.experiment
        return made

    asked = os.environ.get("WANDB_MODE")
    if asked in ("offline", "disabled"):
        return start("offline" if asked == "offline" else "disabled")
    if not logged_in():
        log.info("wandb: not logged in, so this run is kept offline; `wandb sync` sends it later")
        return start("offline")
    try:
        return start("online")
    except Exception as error:  # no connection, no permission, a service that is down: the run is kept all the same
        log.warning("wandb: %s; this run is kept offline, `wandb sync` sends it later", one_line(error))
        wandb.teardown()  # its service would go on holding the id of the attempt
        return start("offline")


def identity(name: str, fingerprint: str, seed: int, reruns: int) -> str:
    """The tracker's id of a run: the same experiment, seed and rerun are the same run."""
    return hashlib.sha256(f"{name}:{fingerprint}:{seed}:{reruns}".encode()).hexdigest()[:16]


def logged_in() -> bool:
    """Whether Weights & Biases has a key for this person, found without asking."""
    import wandb

    return bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)


def image(path: Path) -> Any:
    """A picture in the tracker's form."""
    import wandb

    return wandb.Image(str(path))
