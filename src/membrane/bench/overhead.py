"""``python -m membrane.bench.overhead [overrides]``: the time of a training step that is not arithmetic.

Each step of the run's own trainer is followed by the same step of a bare loop, on the same batch and with weights of
its own, so that a machine that changes its speed changes both. The loader is timed alone. Checkpoints and validation,
which come once an epoch, are left out.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L

from membrane.bench.record import Spread, spread
from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError
from membrane.learner import Learner
from membrane.schema import Config
from membrane.tracking.log import silence_libraries
from membrane.tracking.loggers import build_tracker
from membrane.tracking.recorder import Recorder
from membrane.training.assembly import build_data, build_learner, build_trainer, set_arithmetic
from membrane.training.memory import reuse_large_memory

TIMED_STEPS = 200


class InTurns(L.Callback):
    """Times each step of the trainer, from the request for its batch on, and the same step of a bare loop after it."""

    def __init__(self, bare: Learner) -> None:
        self.bare = bare.train()
        self.optimizer = bare.optimize(bare)
        self.seconds: dict[str, list[float]] = {"bare loop": [], "the run's trainer": []}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.start = perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """End the trainer's time, and time the bare loop's step."""
        middle = perf_counter()
        self.step(batch)
        end = perf_counter()
        self.seconds["the run's trainer"].append(middle - self.start)
        self.seconds["bare loop"].append(end - middle)
        self.start = perf_counter()

    def step(self, batch: Batch) -> None:
        """Do forward, loss, backward and optimiser step, and nothing else."""
        outputs = self.bare.framework(self.bare.model, batch.x, batch.lengths)
        loss = self.bare.loss(outputs, batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def time_steps(config: Config, learner: Learner, bare: Learner, folder: Path) -> dict[str, list[float]]:
    """Return the seconds of each of the run's steps, rows of metrics.csv included, and of bare ones."""
    data, turns = build_data(config, learner), InTurns(bare)
    data.setup()
    learner.augmentation.fit(data.training_part.valid_x(), data.training_part.scale)
    table = Recorder(
        folder / "metrics.csv", learner, build_tracker(config, {}, folder, "", False), config.log_every, False
    )
    with silence_libraries():
        trainer = build_trainer(config, folder, [table, turns])
        trainer.fit_loop.epoch_loop.max_steps = TIMED_STEPS
        trainer.fit(learner, datamodule=data)
    return turns.seconds


def time_loading(config: Config, learner: Learner) -> list[float]:
    """Return the seconds that the loader takes for each batch of an epoch, without training."""
    data = build_data(config, learner)
    data.setup()
    start, seconds = perf_counter(), []
    for _ in data.train_dataloader():
        end = perf_counter()
        seconds.append(end - start)
        start = perf_counter()
    return seconds


def step_overhead(config: Config) -> dict[str, Spread]:
    """Return milliseconds a step: of both, of the difference step by step, and of the loader alone."""
    set_arithmetic(config)
    reuse_large_memory()
    learner, bare = build_learner(config), build_learner(config)
    with tempfile.TemporaryDirectory() as folder:
        seconds = time_steps(config, learner, bare, Path(folder))
    pairs = zip(seconds["the run's trainer"], seconds["bare loop"], strict=True)
    seconds["difference"] = [trainer - loop for trainer, loop in pairs]
    seconds["loader alone"] = time_loading(config, learner)
    return {name: spread([1e3 * each for each in values]) for name, values in seconds.items()}


def print_overhead(overrides: Sequence[str]) -> None:
    """Print the overhead under these overrides as a table in Markdown."""
    composer = Composer()
    lines = composer.add_or_override(["protocol=last", "logger=csv", *overrides, f"epochs={TIMED_STEPS}"])
    rows = step_overhead(check(resolved(composer.compose(lines))))
    print(f"| {' '.join(overrides) or 'defaults'} | ms a step, median (quartiles) |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value.middle:.3f} ({value.low:.3f}–{value.high:.3f}) |")


if __name__ == "__main__":
    try:
        print_overhead(sys.argv[1:])
    except ConfigError as error:
        print(f"membrane: {error}", file=sys.stderr)
        sys.exit(2)
