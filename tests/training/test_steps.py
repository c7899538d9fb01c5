"""What the steps of a whole run receive and draw, against a plain loop over the data and SHA-256."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from membrane.data.digits import Digits
from membrane.data.feed.batch import Batch
from membrane.framework import MultiStep
from membrane.learner import Learner

Run = Callable[..., int]
SIZE, EPOCHS, SEED = 407, 2, 5
NOISE = ("augmentation=noise", "augmentation.noise.std=0.3", "augmentation.noise.evaluate=true")


def seed_of(stream: str, *indices: int) -> int:
    """The seed of a stream of the run, by the rule that `membrane.randomness` states."""
    text = ":".join([str(SEED), stream, *map(str, indices)])
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) >> 1


def generator_of(stream: str, *indices: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(stream, *indices))


def noise(x: Tensor, where: str, epoch: int, step: int) -> Tensor:
    """x [N,…] plus a strength drawn for each sample times noise from a seed drawn for the batch."""
    draws = generator_of(f"augmentation.noise.{where}", epoch, step)
    strength = 0.3 * torch.rand(len(x), generator=draws)
    seed = int(torch.randint(2**63 - 1, (1,), generator=draws))
    return x + strength[:, None, None, None] * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


@dataclass
class Step:
    """A step of a stage: what Lightning gave, what the model saw, and the global generators right before it ran."""

    stage: str
    epoch: int
    number: int
    batch: Batch
    training: bool = False
    seen: list[Tensor] = field(default_factory=list)
    seeds: list[tuple[int, float, float]] = field(default_factory=list)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps of the runs of a test, in order."""
    recorded: list[Step] = []
    call = MultiStep.__call__

    def listen(stage: str) -> None:
        original = getattr(Learner, f"{stage}_step")

        def step(self: Learner, batch: Batch, batch_idx: int) -> Any:
            recorded.append(Step(stage, self.current_epoch, batch_idx, batch, self.model.training))
            return original(self, batch, batch_idx)

        monkeypatch.setattr(Learner, f"{stage}_step", step)

    def framework(self: MultiStep, model: Any, x: Tensor, lengths: Any = None) -> Any:
        if recorded:  # the table of layers comes before the first step
            recorded[-1].seen.append(x.clone())
            drawn = float(np.random.random()), random.random()
            recorded[-1].seeds.append((torch.default_generator.initial_seed(), *drawn))
        return call(self, model, x, lengths)

    for stage in ("training", "validation", "test"):
        listen(stage)
    monkeypatch.setattr(MultiStep, "__call__", framework)
    return recorded


def part(steps: list[Step], stage: str, epoch: int) -> list[Step]:
    return [step for step in steps if (step.stage, step.epoch) == (stage, epoch)]


def parts_of_digits(steps: list[Step]) -> tuple[Any, Tensor, Tensor]:
    """The training data, and the positions in it that train and validate: sorted, and all of them once."""
    whole, _ = Digits().load(Path(), 2)
    train = torch.cat([step.batch.index for step in part(steps, "training", 0)]).sort().values
    val = torch.cat([step.batch.index for step in part(steps, "validation", 0)])
    assert val.tolist() == sorted(val.tolist())
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(len(whole)))
    assert len(val) == round(0.15 * len(whole))
    return whole, train, val


def test_every_step_receives_the_samples_of_a_plain_loop(small: Run, steps: list[Step]) -> None:
    assert small(f"seed={SEED}", f"batch_size={SIZE}", f"epochs={EPOCHS}") == 0
    whole, train, val = parts_of_digits(steps)
    _, test = Digits().load(Path(), 2)
    for epoch in range(EPOCHS):
        order = train[torch.randperm(len(train), generator=generator_of("order", epoch))]
        for stage, positions in (("training", order), ("validation", val)):
            taken = part(steps, stage, epoch)
            assert [step.number for step in taken] == list(range(-(-len(positions) // SIZE)))
            for step in taken:
                index = positions[step.number * SIZE : (step.number + 1) * SIZE]
                assert step.training == (stage == "training")
                assert torch.equal(step.batch.index, index)
                assert torch.equal(step.batch.recording, whole.recording[index])
                assert torch.equal(step.batch.y, whole.y[index])
                assert step.batch.lengths is None
                [seen] = step.seen
                assert torch.equal(seen, whole.x[index].float() / 16)
    tested = [step for step in steps if step.stage == "test"]
    assert len(tested) == 2  # one batch each of the last and of the best checkpoint
    for step in tested:
        assert torch.equal(step.batch.index, torch.arange(len(test)))
        assert torch.equal(step.seen[0], test.x.float() / 16)


def test_every_step_of_training_begins_the_streams_of_its_epoch_and_number(small: Run, steps: list[Step]) -> None:
    assert small(f"seed={SEED}", f"batch_size={SIZE}", f"epochs={EPOCHS}") == 0
    for epoch in range(EPOCHS):
        for step in part(steps, "training", epoch):
            seed = seed_of("model", epoch, step.number)
            numpy = np.random.RandomState(seed % 2**32).random_sample()
            assert step.seeds == [(seed, numpy, random.Random(seed).random())]


@pytest.mark.parametrize("where", ["before", "after"])
def test_training_draws_by_epoch_and_step_and_evaluation_never_what_training_draws(
    where: str, small: Run, steps: list[Step]
) -> None:
    places = (f"augmentation.noise.before={where == 'before'}", f"augmentation.noise.after={where == 'after'}")
    assert small(f"seed={SEED}", "batch_size=100", f"epochs={EPOCHS}", *NOISE, *places) == 0
    whole, *_ = parts_of_digits(steps)
    _, test = Digits().load(Path(), 2)
    assert {len(part(steps, "validation", epoch)) for epoch in range(EPOCHS)} == {3}
    for step in steps:
        x = (test if step.stage == "test" else whole).x[step.batch.index].float() / 16
        [seen] = step.seen
        drawn = step.epoch if step.stage == "training" else -1
        torch.testing.assert_close(seen, noise(x, where, drawn, step.number), rtol=0, atol=1e-6)
        first = noise(x, where, 0, step.number)
        assert torch.allclose(seen, first, rtol=0, atol=1e-3) == (drawn == 0)
