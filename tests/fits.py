"""Fits of the smallest learner as a run makes them, without its checkpoints, its test and its folder, for tests."""

from pathlib import Path

from configurations import configured

from membrane.learner import Learner
from membrane.randomness import scoped
from membrane.runs.folder import RunFolder
from membrane.tracking.loggers import Tracker
from membrane.training import run
from membrane.training.assembly import build_callbacks, build_trainer

SMALLEST = ("logger=csv", "model=smlp", "model.units=[16]", "timesteps=2", "threads=1")


def fit(folder: Path, *typed: str, pieces: int = 1) -> Learner:
    """Fit as a run of this command line does, each batch in ``pieces``, and write metrics.csv; return the learner."""
    config = configured(*SMALLEST, f"paths.run={folder / 'run'}", *typed)
    run_folder = RunFolder(config)
    run_folder.path.mkdir()
    learner, data = run.learner_and_data(config, run_folder, None, pieces)
    recorder = run.build_recorder(config, run_folder, learner, Tracker(lambda: None, "none"))
    trainer = build_trainer(config, run_folder.path, [*build_callbacks(config), recorder], pieces)
    with scoped(config.seed, "fit"):
        trainer.fit(learner, datamodule=data)
    return learner
