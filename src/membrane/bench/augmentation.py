"""``python -m membrane.bench.augmentation``: the time of augmentations beside a training step.

The batch is one of W2's, frames of events; the step is timed on as many samples, and on as many as W2 has. All take
turns, so that a machine that changes its speed changes all alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from math import inf

import torch

from membrane.augment.augmentation import Augmentation
from membrane.augment.eventmix import EventMix
from membrane.augment.events import DropArea, DropEvents, DropTime, EventDrop
from membrane.augment.image import Cutout, HorizontalFlip, Shift
from membrane.augment.mixing import CutMix, Mixup
from membrane.augment.nda import NDA
from membrane.augment.pipeline import Pipeline
from membrane.augment.temporal import TimeShift
from membrane.bench.peers.ours import membrane_multistep
from membrane.bench.record import spread
from membrane.bench.step import random_samples, training_step
from membrane.bench.timing import Rounds
from membrane.bench.workloads import WORKLOADS, Workload
from membrane.data.feed.batch import Batch
from membrane.training.memory import reuse_large_memory

SAMPLES, THREADS, ROUNDS = 32, 2, 9
CPU = torch.device("cpu")
USUAL = ("flip", "shift", "cutout", "event_drop")
"""The augmentations that are timed together."""


def timed_augmentations() -> dict[str, Augmentation]:
    """Build the augmentations that are timed."""
    return {
        "flip": HorizontalFlip(),
        "shift": Shift(pixels=12),
        "cutout": Cutout(size=32),
        "event_drop": EventDrop(),
        "drop_time": DropTime(),
        "drop_area": DropArea(),
        "drop_events": DropEvents(),
        "time_shift": TimeShift(steps=4),
        "nda": NDA(),
        "mixup": Mixup(alpha=1),
        "cutmix": CutMix(),
        "eventmix": EventMix(),
    }


def steps_to_time(workload: Workload) -> dict[str, Callable[[], None]]:
    """Build training steps, the usual augmentations together, and each one alone, on batches of `SAMPLES`.

    The first training step is on as many samples, the second on those of the workload itself.
    """
    steps: dict[str, Callable[[], None]] = {}
    for samples in (SAMPLES, workload.batch):
        sized = replace(workload, batch=samples)
        x, y = random_samples(sized, CPU)
        steps[f"training step, {samples} samples"] = training_step(membrane_multistep(sized, CPU), x, y, "fp32")
    x, y = random_samples(replace(workload, batch=SAMPLES), CPU)
    index = torch.arange(SAMPLES)
    batch, each = Batch(x, y, None, index, index), timed_augmentations()
    pipelines = {" + ".join(USUAL): {name: each[name] for name in USUAL}}
    pipelines |= {name: {name: augmentation} for name, augmentation in each.items()}
    for name, entries in pipelines.items():
        steps[name] = partial(augment, Pipeline(entries, workload.classes, True, 0), batch, count())
    return steps


def augment(pipeline: Pipeline, batch: Batch, steps: Iterator[int]) -> None:
    """Augment a batch with the draws of the next step."""
    pipeline.run(batch, "after", True, 0, next(steps))


def print_times(workload: Workload, rounds: int) -> None:
    """Print milliseconds of each, and what part they are of both training steps, as a table in Markdown."""
    steps, turns = steps_to_time(workload), Rounds()
    guesses = {name: turns.warm_up(step, inf) for name, step in steps.items()}
    seconds = turns.run(steps, guesses, rounds, inf)
    whole, own, *_ = seconds
    shape = " × ".join(map(str, replace(workload, batch=SAMPLES).input_shape))
    print(f"{workload.name}, a batch of {shape}, {torch.get_num_threads()} threads\n")
    print(f"|  | ms, median (quartiles) | of a {whole} | of a {own} |\n|---|---|---|---|")
    for name, values in seconds.items():
        time = spread([1e3 * value for value in values])
        parts = [
            spread([one / other for one, other in zip(values, seconds[step], strict=True)]) for step in (whole, own)
        ]
        shares = " | ".join(f"{part.middle:.1%}" for part in parts)
        print(f"| {name} | {time.middle:.1f} ({time.low:.1f}–{time.high:.1f}) | {shares} |")


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    reuse_large_memory()
    print_times(next(workload for workload in WORKLOADS if workload.name == "W2"), ROUNDS)
