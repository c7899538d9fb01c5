"""``python -m membrane.bench.overhead [overrides]``: what a training step costs beside its arithmetic.

Each step of the run's own trainer is followed by the same step of a bare loop, on the same batch and with weights of
its own, so that a machine that changes its speed changes both; and the loader alone. Checkpoints and validation, which
come once an epoch, are left out.
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
from membrane.learner import Learner
from membrane.schema import Config
from membrane.tracking.log import silence_libraries
from membrane.tracking.loggers import build_tracker
from membrane.tracking.recorder import Recorder
from membrane.training.assembly import build_data, build_learner, build_trainer, set_arithmetic
from membrane.training.memory import reuse_large_memory

STEPS = 200


class InTurns(L.Callback):
    """Seconds of each of the trainer's steps, from the request for its batch on, and of a bare one after it."""

    def __init__(self, bare: Learner) -> None:
        self.bare = bare.train()
        self.optimizer = bare.optimize(bare.parameters())
        self.seconds: dict[str, list[float]] = {"bare loop": [], "the run's trainer": []}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.start = perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """The trainer's turn is over, and the bare loop's comes."""
        middle = perf_counter()
        self.step(batch)
        end = perf_counter()
        self.seconds["the run's trainer"].append(middle - self.start)
        self.seconds["bare loop"].append(end - middle)
        self.start = perf_counter()

    def step(self, batch: Batch) -> None:
        """Nothing but forward, loss, backward and optimiser."""
        outputs = self.bare.framework(self.bare.model, batch.x, batch.lengths)
        loss = self.bare.loss(outputs, batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def steps(config: Config, learner: Learner, bare: Learner, folder: Path) -> dict[str, list[float]]:
    """Seconds of the run's steps, with rows of metrics.csv and all, and of bare ones."""
    data, turns = build_data(config, learner), InTurns(bare)
    data.setup()
    learner.augmentation.fit(data.training_part.x, data.training_part.scale)
    table = Recorder(
        folder / "metrics.csv", learner, build_tracker(config, {}, folder, "", False), config.log_every, False
    )
    with silence_libraries():
        trainer = build_trainer(config, folder, [table, turns])
        trainer.fit_loop.epoch_loop.max_steps = STEPS
        trainer.fit(learner, datamodule=data)
    return turns.seconds


def loading(config: Config, learner: Learner) -> list[float]:
    """Seconds of each batch of an epoch, that nobody trains on."""
    data = build_data(config, learner)
    data.setup()
    start, seconds = perf_counter(), []
    for _ in data.train_dataloader():
        end = perf_counter()
        seconds.append(end - start)
        start = perf_counter()
    return seconds


def measure(config: Config) -> dict[str, Spread]:
    """Milliseconds a step: of both, of the difference step by step, and of the loader alone."""
    set_arithmetic(config)
    reuse_large_memory()
    learner, bare = build_learner(config), build_learner(config)
    with tempfile.TemporaryDirectory() as folder:
        found = steps(config, learner, bare, Path(folder))
    pairs = zip(found["the run's trainer"], found["bare loop"], strict=True)
    found["difference"] = [trainer - loop for trainer, loop in pairs]
    found["loader alone"] = loading(config, learner)
    return {name: spread([1e3 * each for each in seconds]) for name, seconds in found.items()}


def main(overrides: Sequence[str]) -> int:
    """Print a table."""
    composer = Composer()
    lines = composer.add_or_override(["protocol=last", "logger=csv", *overrides, f"epochs={STEPS}"])
    rows = measure(check(resolved(composer.compose(lines))))
    print(f"| {' '.join(overrides) or 'defaults'} | ms a step, median (quartiles) |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value.middle:.3f} ({value.low:.3f}–{value.high:.3f}) |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
