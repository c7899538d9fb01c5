"""``python -m membrane.bench.overhead [overrides]``: what a training step costs beside its arithmetic.

The run's own trainer against a bare loop that takes the same steps on batches that are there already, in turns; and the
loader alone. Checkpoints and validation, which come once an epoch, are left out.
"""

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter

import lightning as L
import torch

from membrane.assembly import build_data, build_learner, build_trainer, set_arithmetic
from membrane.bench.record import Spread, spread
from membrane.composition import Composer
from membrane.config import check, resolved
from membrane.data.batch import Batch
from membrane.learner import Learner
from membrane.schema import Config
from membrane.tracking.log import quiet
from membrane.tracking.loggers import tracker
from membrane.tracking.recorder import Recorder

ROUNDS, MOST_STEPS = 7, 60
"""Turns of each, and the steps of one: an epoch's, or so many."""


class Steps(L.Callback):
    """Seconds from the beginning of an epoch to the end of its last step."""

    seconds = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.start = perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        """The last one counts."""
        self.seconds = perf_counter() - self.start


def bare(learner: Learner, batches: Iterable[Batch], optimizer: torch.optim.Optimizer) -> float:
    """Seconds of a loop with nothing in it but forward, loss, backward and optimiser."""
    learner.train()
    start = perf_counter()
    for batch in batches:
        loss = learner.loss(learner.framework(learner.model, batch.x, batch.lengths), batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return perf_counter() - start


def whole(config: Config, learner: Learner, folder: Path) -> float:
    """Seconds of the same steps in the run's trainer, with rows of metrics.csv and all."""
    data, steps = build_data(config, learner), Steps()
    data.setup()
    table = Recorder(folder / "metrics.csv", learner, tracker(config, {}, folder, "", False), config.log_every, False)
    with quiet():
        trainer = build_trainer(config, folder, [table, steps])
        trainer.fit_loop.epoch_loop.max_steps = MOST_STEPS
        trainer.fit(learner, datamodule=data)
    return steps.seconds


def measure(config: Config) -> dict[str, Spread]:
    """Milliseconds a step: of both, of the difference round by round, and of the loader alone."""
    set_arithmetic(config)
    learner = build_learner(config)
    data = build_data(config, learner)
    data.setup()
    learner.augmentation.fit(data.training_part.x, data.training_part.scale)
    optimizer = learner.optimize(learner.parameters())
    loader = data.train_dataloader()
    batches = [batch for batch, _ in zip(loader, range(MOST_STEPS), strict=False)]
    found: dict[str, list[float]] = {"bare loop": [], "the run's trainer": [], "difference": [], "loader alone": []}
    bare(learner, batches, optimizer)
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            found["bare loop"].append(bare(learner, batches, optimizer))
            found["the run's trainer"].append(whole(config, learner, Path(folder)))
        start = perf_counter()
        for _batch, _step in zip(loader, batches, strict=False):
            pass
        found["loader alone"].append(perf_counter() - start)
    pairs = zip(found["the run's trainer"], found["bare loop"], strict=True)
    found["difference"] = [trainer - loop for trainer, loop in pairs]
    return {name: spread([1e3 * each / len(batches) for each in seconds]) for name, seconds in found.items()}


def main(overrides: Sequence[str]) -> int:
    """Print a table."""
    composer = Composer()
    [job], _ = composer.jobs(composer.free(["protocol=last", "logger=csv", *overrides, "epochs=1"]), multirun=False)
    rows = measure(check(resolved(job.config)))
    print(f"| {' '.join(overrides) or 'defaults'} | ms a step, median (quartiles) |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value.middle:.3f} ({value.low:.3f}–{value.high:.3f}) |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
