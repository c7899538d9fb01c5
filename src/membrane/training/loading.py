"""A trained model from its run folder or checkpoint."""

import logging
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from membrane.config.admission import admitted_class
from membrane.config.check import check, resolved
from membrane.config.environment import UNUSED_BY_SAVED, without_environment
from membrane.errors import ConfigError, DataError, one_line
from membrane.files.yaml_text import require_small_container
from membrane.runs.folder import checkpoint_of
from membrane.schema import Config
from membrane.training import checkpoints
from membrane.training.assembly import build_learner

if TYPE_CHECKING:
    from membrane.learner import Learner

log = logging.getLogger(__name__)


def load(path: str | Path, trust: Sequence[str] = ()) -> "Learner":
    """Load the Learner of a run folder (its best checkpoint, else its last) or of a checkpoint file, in eval mode.

    ``learner(x)`` returns predictions [N,K] for x [N,…] or [N,T,…], in the data set's whole numbers or as floats that
    were scaled already; ``learner(x, lengths)`` reads [N] valid timesteps alone. Raises DataError if there is no
    checkpoint of membrane's, ConfigError if its configuration names a class that is neither membrane's nor in
    ``trust``.
    """
    return load_with_config(path, trust)[0]


def load_with_config(path: str | Path, trust: Sequence[str] = ()) -> "tuple[Learner, Config]":
    """Load a Learner as `load`, and return it with its run's configuration."""
    file = checkpoint_of(path)
    checkpoint = checkpoints.read_checkpoint(file)
    config = config_of(checkpoint["membrane"].get("config"), trust)
    if config.protocol == "val_best" and file.name == "last.ckpt" and Path(path).is_dir():
        log.warning("%s has no best.ckpt yet: its last.ckpt is loaded", path)
    learner = build_learner(config)
    checkpoints.load_weights(learner, checkpoint["state_dict"])
    learner.scale = scale_of(checkpoint, config)
    return learner.eval(), config


def scale_of(checkpoint: Mapping[str, Any], config: Config) -> float | None:
    """Return the scale of the data that a checkpoint was trained on.

    Checkpoints of earlier versions do not hold it: then it is that of membrane's own data sets, and None for others.
    Raises DataError if it is no number.
    """
    scale = checkpoint.get("scale")
    if scale is None and config.dataset.choice:
        scale = getattr(admitted_class(config.dataset.target, config.trust), "scale", None)
    if scale is not None and not (isinstance(scale, float) and isfinite(scale)):
        raise DataError(f"the checkpoint's scale is {scale!r:.40}, not a finite number")
    return scale


def config_of(saved_config: Any, trust: Sequence[str] = ()) -> Config:
    """Check a configuration that came with a checkpoint or a run like one from the command line.

    Raises ConfigError if it reads the environment for a setting that matters to who has the weights.
    """
    unused = (*UNUSED_BY_SAVED, ("dataset", "path"))
    return config_of_saved(without_environment(unresolved(saved_config), unused=unused), trust)


def config_of_saved(composed: DictConfig, trust: Sequence[str]) -> Config:
    """Check a saved configuration, in which the person may have set things anew."""
    if "trust" in composed:
        raise ConfigError("the checkpoint's configuration says trust, which only you may: load(path, trust=[…])")
    raw = resolved(composed)
    raw["trust"] = list(trust)
    return check(raw)


def unresolved(saved_config: Any) -> DictConfig:
    """Return a saved configuration with its references. Raises ConfigError if it is none."""
    if not isinstance(saved_config, dict):
        raise ConfigError("the checkpoint holds no configuration")
    try:
        require_small_container(saved_config)
        return OmegaConf.create(saved_config)
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"the checkpoint's configuration: {one_line(error)}") from None
