"""Experiment trackers beside metrics.csv. None of them may ask a question or fail a run."""

import hashlib
import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from membrane.config.admission import admitted_class
from membrane.config.build import build, class_and_arguments, public_name
from membrane.errors import ConfigError, one_line
from membrane.schema import Config, Trusted
from membrane.schema.training import Logger as LoggerNode
from membrane.schema.training import TensorBoard, Wandb
from membrane.tracking.wandb_service import announce_server, without_workspace_settings

log = logging.getLogger(__name__)


class Tracker:
    """Passes a run's numbers to its logger, which is started by the first of them, so that the run does not wait.

    After the first call that fails the logger is dropped, and one line says why; the run goes on.
    """

    def __init__(self, start: Callable[[], Logger | None], name: str) -> None:
        self.start: Callable[[], Logger | None] | None = start
        self.name = name
        self.logger: Logger | None = None

    def begin(self) -> None:
        """Start the logger, if it has not been started."""
        start, self.start = self.start, None
        if start is not None:
            self.attempt(lambda: self.touch(start()))

    def touch(self, logger: Logger | None) -> None:
        """Open the logger's experiment if it has one: Lightning's own loggers start when it is first read."""
        self.logger = logger
        if hasattr(type(logger), "experiment"):
            _ = logger.experiment  # type: ignore[union-attr]

    def attempt(self, call: Callable[[], Any]) -> None:
        """Run a call to the logger, and drop the logger if it raises."""
        try:
            call()
        except Exception as error:  # no error of a tracker's library may fail the run
            log.warning("%s is not available (%s); metrics.csv has everything", self.name, one_line(error))
            self.logger = None

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at an optimiser step."""
        self.begin()
        if self.logger is not None:
            logger = self.logger
            self.attempt(lambda: logger.log_metrics(dict(values), step))

    def result(self, values: Mapping[str, float], figures: Sequence[Path]) -> None:
        """Log the run's final metrics and figures."""
        if isinstance(self.logger, WandbLogger):
            run, images = self.logger.experiment, {f"figures/{path.stem}": path for path in figures}
            self.attempt(lambda: run.summary.update(dict(values)))
            self.attempt(lambda: run.log({name: wandb_image(path) for name, path in images.items()}))
        elif self.logger is not None:
            logger = self.logger
            self.attempt(lambda: logger.log_metrics(dict(values)))

    def finish(self, status: str) -> None:
        """End the logger with a status, ``success`` or ``failed``."""
        if self.logger is not None:
            logger = self.logger
            self.attempt(lambda: logger.finalize(status))
            if isinstance(logger, WandbLogger):
                self.attempt(lambda: logger.experiment.finish(exit_code=0 if status == "success" else 1))
        self.logger = None


def build_tracker(config: Config, saved_config: dict[str, Any], folder: Path, fingerprint: str, reruns: int) -> Tracker:
    """Build the tracker that the configuration names; ``saved_config`` is the one without secrets."""

    def start() -> Logger | None:
        if isinstance(config.logger, Wandb):
            with without_workspace_settings():
                return build_wandb_logger(config, config.logger, saved_config, folder, fingerprint, reruns)
        if isinstance(config.logger, TensorBoard):
            return TensorBoardLogger(save_dir=folder, name="tensorboard", version="", default_hp_metric=False)
        if isinstance(config.logger, Trusted):
            return own_logger(config.logger, config.trust, folder)()
        return None

    return Tracker(start, config.logger.name_of_choice if config.logger else "csv")


def own_logger(node: LoggerNode, trust: Sequence[str], folder: Path) -> Callable[[], Logger]:
    """Return what builds a user's own logger, with the run's folder as ``save_dir`` if its constructor takes that.

    Raises ConfigError as `build`, but for what the constructor raises when it is called.
    """
    takes_folder = "save_dir" in signature(admitted_class(node.target, trust)).parameters
    arguments = {"save_dir": folder} if takes_folder else {}
    logger_class, _ = class_and_arguments(node, trust, **arguments)
    if not issubclass(logger_class, Logger):
        raise ConfigError(f"{node.target} is no {public_name(Logger)}: inherit from that")
    return lambda: build(node, trust, **arguments)


def build_wandb_logger(
    config: Config, logger: Wandb, saved_config: dict[str, Any], folder: Path, fingerprint: str, reruns: int
) -> Logger:
    """Start Weights & Biases: online if the user is logged in and the service answers, else offline."""
    import wandb

    server = wandb.setup(wandb.Settings(silent=True)).settings.base_url

    def start(connection: Literal["online", "offline", "disabled"]) -> Logger:
        wandb_logger = WandbLogger(
            project=logger.project,
            entity=logger.entity,
            tags=logger.tags,
            name=f"{config.name}-seed{config.seed}",
            id=wandb_id(config.name, fingerprint, config.seed, reruns),
            group=fingerprint,
            config=saved_config,
            save_dir=str(folder.absolute()),  # the service that writes may have begun in another working folder
            mode=connection,
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=30, disable_git=True, x_disable_stats=True
            ),
        )
        _ = wandb_logger.experiment
        return wandb_logger

    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "disabled"):
        return start("offline" if mode == "offline" else "disabled")
    if not logged_in():
        log.info("wandb: not logged in, so this run is kept offline; `wandb sync` sends it later")
        return start("offline")
    try:
        announce_server(server)
        return start("online")
    except Exception as error:  # no connection, no permission, a service that is down: the run is kept offline
        log.warning("wandb: %s; this run is kept offline, `wandb sync` sends it later", one_line(error))
        wandb.teardown()  # else its service would keep the id of the attempt
        return start("offline")


def wandb_id(name: str, fingerprint: str, seed: int, reruns: int) -> str:
    """Return the id of a run, the same for the same experiment, seed and number of reruns."""
    return hashlib.sha256(f"{name}:{fingerprint}:{seed}:{reruns}".encode()).hexdigest()[:16]


def logged_in() -> bool:
    """Return whether Weights & Biases finds an API key, without prompting for one."""
    import wandb

    return bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)


def sync_command(folder: Path) -> str | None:
    """Return the command that sends a run's offline parts, the earliest first; None if there are none to send.

    Each start of a run that was stopped and resumed offline leaves a part of its own.
    """
    parts = [part for part in sorted(folder.glob("wandb/offline-run-*")) if not any(part.glob("*.synced"))]
    return shlex.join(["wandb", "sync", *map(str, parts)]) if parts else None


def wandb_image(path: Path) -> Any:
    """Return a figure as an image of Weights & Biases."""
    import wandb

    return wandb.Image(str(path))
