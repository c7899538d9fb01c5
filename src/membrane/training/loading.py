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
    """The Learner of a run folder (its best checkpoint, the last where none is best) or of a checkpoint, in eval mode.

    ``learner(x)`` gives predictions [N,K] for x [N,…] or [N,T,…]. DataError where there is no checkpoint of ours,
    ConfigError where its configuration names a class that is neither membrane's nor in ``trust``.
    """
    file = checkpoint_of(path)
    checkpoint = checkpoints.read_checkpoint(file)
    config = config_of(checkpoint["membrane"]["config"], trust)
    learner = build_learner(config)
    checkpoints.load_weights(learner, checkpoint["state_dict"])
    return learner.eval()


def config_of(said: Any, trust: Sequence[str] = ()) -> Config:
    """A configuration that came with a checkpoint or a run, checked like one from the command line."""
    if not isinstance(said, dict):
        raise ConfigError("the checkpoint holds no configuration")
    if "trust" in said:
        raise ConfigError("the checkpoint's configuration says trust, which only you may: load(path, trust=[…])")
    try:
        composed = OmegaConf.create(said)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the checkpoint's configuration: {one_line(error)}") from None
    return check({**resolved(composed), "trust": list(trust)})
