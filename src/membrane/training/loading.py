"""A trained model from its run folder or checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from membrane.config.check import check, resolved
from membrane.errors import ConfigError, one_line
from membrane.runs.folder import checkpoint_of
from membrane.schema import Config
from membrane.training import checkpoints
from membrane.training.assembly import build_learner

if TYPE_CHECKING:
    from membrane.learner import Learner


def load(path: str | Path, trust: Sequence[str] = ()) -> "Learner":
    """Load the Learner of a run folder (its best checkpoint, else its last) or of a checkpoint file, in eval mode.

    ``learner(x)`` returns predictions [N,K] for x [N,…] or [N,T,…]. Raises DataError if there is no checkpoint of
    membrane's, ConfigError if its configuration names a class that is neither membrane's nor in ``trust``.
    """
    file = checkpoint_of(path)
    checkpoint = checkpoints.read_checkpoint(file)
    config = config_of(checkpoint["membrane"]["config"], trust)
    learner = build_learner(config)
    checkpoints.load_weights(learner, checkpoint["state_dict"])
    return learner.eval()


def config_of(saved_config: Any, trust: Sequence[str] = ()) -> Config:
    """Check a configuration that came with a checkpoint or a run like one from the command line."""
    if not isinstance(saved_config, dict):
        raise ConfigError("the checkpoint holds no configuration")
    if "trust" in saved_config:
        raise ConfigError("the checkpoint's configuration says trust, which only you may: load(path, trust=[…])")
    try:
        composed = OmegaConf.create(saved_config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the checkpoint's configuration: {one_line(error)}") from None
    return check({**resolved(composed), "trust": list(trust)})
