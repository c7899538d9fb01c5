"""An optimiser step is that of one batch with all its samples, however many batches they come in."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from configurations import configured
from fits import fit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from membrane.augment.pipeline import Pipeline
from membrane.data.digits import Digits
from membrane.data.feed.batch import Batch
from membrane.data.feed.module import DataModule
from membrane.data.samples import Samples
from membrane.errors import Stopped
from membrane.framework import MultiStep
from membrane.learner import Learner
from membrane.losses import CrossEntropy
from membrane.metrics import Classification
from membrane.randomness import generator
from membrane.readout import Mean
from membrane.runs.stopping import Stop
from membrane.training.assembly import build_learner

TOLERANCE = 1e-6
"""Of the difference of two gradients, relative to their norm."""
Step = tuple[list[Tensor], list[Tensor]]
"""The parameters before a step, and the gradients that it was made with."""


@contextmanager
def recorded_steps() -> Iterator[list[Step]]:
    """Record every step of any optimiser inside the block."""
    steps: list[Step] = []
    before: list[Tensor] = []

    def copies(optimizer: torch.optim.Optimizer, gradients: bool) -> list[Tensor]:
        parameters = optimizer.param_groups[0]["params"]
        return [(each.grad if gradients else each).detach().clone() for each in parameters]

    def begin(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        before[:] = copies(optimizer, gradients=False)

    def end(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        steps.append((list(before), copies(optimizer, gradients=True)))

    hooks = register_optimizer_step_pre_hook(begin), register_optimizer_step_post_hook(end)
    try:
        yield steps
    finally:
        for hook in hooks:
            hook.remove()


def groups(n: int, samples_a_step: int, seed: int, epoch: int, most: int | None = None) -> list[Tensor]:
    """The samples of an epoch's steps: its order, cut into steps, of the first ``most`` samples alone."""
    order = torch.randperm(n, generator=generator(seed, "order", epoch))
    return list(torch.split(order[:most], samples_a_step))


def difference(gradients: list[Tensor], expected: list[Tensor]) -> float:
    """‖g − expected‖ / ‖expected‖ over all parameters."""
    errors = [(one - other).double().norm() for one, other in zip(gradients, expected, strict=True)]
    return (torch.stack(errors).norm() / torch.stack([each.double().norm() for each in expected]).norm()).item()


def gradients_at(model: nn.Module, parameters: list[Tensor], loss: Callable[[nn.Module], Tensor]) -> list[Tensor]:
    """The gradients of a loss of the model with these parameters, which it keeps."""
    with torch.no_grad():
        for own, other in zip(model.parameters(), parameters, strict=True):
            own.copy_(other)
    return list(torch.autograd.grad(loss(model.train()), list(model.parameters())))


class Spiking(nn.Module):
    """[T,N,1,4] → [T,N,3]: two layers around spikes, in double precision."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.hidden = nn.Linear(4, 6).double()
            self.head = nn.Linear(6, 3).double()
        self.neuron = neuron.LIFNode(v_threshold=0.3, surrogate_function=surrogate.ATan(), step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.neuron(self.hidden(x.double().flatten(2))))


class Drawn:
    """So many samples of three classes, x [n,1,4]; one to test."""

    def __init__(self, n: int) -> None:
        x = torch.rand(n, 1, 4, generator=torch.Generator().manual_seed(n))
        self.samples = Samples(x, torch.arange(n) * 7 % 3, torch.arange(n))

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        return self.samples, self.samples.take(torch.arange(1))


def fit_drawn(
    data: Drawn, batch_size: int, accumulate: int, pieces: int, **changes: Any
) -> tuple[nn.Module, list[Step]]:
    """Two epochs; returns the model and its steps."""
    learner = Learner(
        model=Spiking(),
        framework=MultiStep(2),
        readout=Mean(),
        loss=CrossEntropy(Mean()),
        augmentation=Pipeline({}, classes=3, timesteps_in_data=False, seed=0),
        metrics=partial(Classification, 3),
        seed=0,
        optimize=lambda module: torch.optim.SGD(module.parameters(), lr=0.1),
        schedule=lambda optimizer, steps, epochs: {"scheduler": torch.optim.lr_scheduler.ConstantLR(optimizer)},
    )
    module = DataModule(
        data,
        root=Path(),
        shape=[1, 4],
        classes=3,
        timesteps=2,
        timesteps_in_data=False,
        protocol="last",
        batch_size=batch_size,
        pieces=pieces,
        seed=3,
    )
    off = {f"enable_{name}": False for name in ("checkpointing", "progress_bar", "model_summary")}
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, accumulate_grad_batches=accumulate * pieces, **off, **changes
    )
    with recorded_steps() as steps:
        trainer.fit(learner, datamodule=module)
    return learner.model, steps


def expected_gradients(model: nn.Module, data: Drawn, parameters: list[Tensor], samples: Tensor) -> list[Tensor]:
    """The gradients of the mean cross-entropy of these samples, in one batch."""
    x, y = data.samples.x[samples], data.samples.y[samples]

    def loss(net: nn.Module) -> Tensor:
        net.neuron.reset()  # type: ignore[union-attr, operator]
        return nn.functional.cross_entropy(net(x.expand(2, *x.shape)).mean(0), y)

    return gradients_at(model, parameters, loss)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(n=st.integers(1, 40), batch_size=st.integers(1, 12), accumulate=st.integers(1, 5), pieces=st.integers(1, 5))
@example(n=21, batch_size=5, accumulate=2, pieces=1)  # one batch alone in the last step
@example(n=31, batch_size=5, accumulate=3, pieces=1)  # and that is short
@example(n=29, batch_size=4, accumulate=8, pieces=1)  # 7 × 4 + 1
@example(n=37, batch_size=7, accumulate=2, pieces=4)  # uneven pieces, and fewer samples than pieces in the end
def test_every_step_is_that_of_one_batch(n: int, batch_size: int, accumulate: int, pieces: int) -> None:
    pieces = min(pieces, batch_size)
    data = Drawn(n)
    model, steps = fit_drawn(data, batch_size, accumulate, pieces)
    expected = [group for epoch in (0, 1) for group in groups(n, batch_size * accumulate, 3, epoch)]
    assert len(steps) == len(expected) == 2 * math.ceil(n / (batch_size * accumulate))
    for (parameters, gradients), samples in zip(steps, expected, strict=True):
        assert difference(gradients, expected_gradients(model, data, parameters, samples)) < TOLERANCE


def test_batches_that_the_trainer_leaves_out_are_in_no_step() -> None:
    model, steps = fit_drawn(data := Drawn(40), 4, 2, 1, limit_train_batches=5)
    expected = [group for epoch in (0, 1) for group in groups(40, 8, 3, epoch, most=20)]
    assert [len(group) for group in expected] == [8, 8, 4] * 2
    assert len(steps) == 6
    for (parameters, gradients), samples in zip(steps, expected, strict=True):
        assert difference(gradients, expected_gradients(model, data, parameters, samples)) < TOLERANCE


LEAST = (
    "logger=csv",
    "model=smlp",
    "model.units=[16]",
    "model.norm=none",
    "timesteps=2",
    "threads=1",
    "figures=false",
    "trainer.progress=false",
    "optimizer=sgd",
    "optimizer.momentum=0",
    "protocol=last",
    "epochs=2",
)
SIZES = (("batch_size=300", "trainer.accumulate=2"), ("batch_size=200", "trainer.accumulate=3"))
SHORT = ("batch_size=200", "trainer.accumulate=8")  # 1437 = 7 × 200 + 37: one step


def differences(steps: list[Step], arguments: tuple[str, ...], most: int | None = None) -> list[float]:
    """How far each step of a run on all digits is from one batch with its samples; most: of an epoch."""
    config = configured(*arguments)
    learner = build_learner(config)
    train, _ = Digits().load(Path(), 2)
    x, clip = train.x.float() / 16, config.trainer.clip_norm
    size = config.batch_size * config.trainer.accumulate
    taken = [group for epoch in range(config.epochs) for group in groups(len(x), size, config.seed, epoch, most)]
    assert len(steps) == len(taken)
    errors = []
    for (parameters, gradients), samples in zip(steps, taken, strict=True):
        step = partial(step_loss, learner, x[samples], train.y[samples])
        expected = gradients_at(learner.model, parameters, step)
        if clip is not None:
            norm = torch.stack([each.norm() for each in expected]).norm()
            expected = [each * min(1.0, clip / (norm.item() + 1e-6)) for each in expected]
        errors.append(difference(gradients, expected))
    return errors


def step_loss(learner: Learner, x: Tensor, y: Tensor, model: nn.Module) -> Tensor:
    """The mean cross-entropy of the rates."""
    outputs = learner.framework(model, x)
    assert isinstance(outputs, Tensor)
    return nn.functional.cross_entropy(outputs.mean(0), y)


@pytest.mark.parametrize(
    "changes",
    [
        *SIZES,
        SHORT,
        (*SIZES[0], "trainer.clip_norm=0.05"),
        (*SIZES[1], "trainer.workers=2"),
    ],
)
def test_every_step_of_a_run_is_that_of_one_batch(tmp_path: Path, changes: tuple[str, ...]) -> None:
    with recorded_steps() as steps:
        fit(tmp_path, *LEAST, *changes)
    assert max(differences(steps, (*LEAST, *changes))) < TOLERANCE


@pytest.mark.parametrize("changes", [("batch_size=300",), SIZES[1]])
def test_so_is_every_step_in_pieces(tmp_path: Path, changes: tuple[str, ...]) -> None:
    with recorded_steps() as steps:
        fit(tmp_path, *LEAST, *changes, pieces=7)
    assert max(differences(steps, (*LEAST, *changes))) < TOLERANCE


def test_so_is_every_step_of_a_run_that_was_stopped_within_an_epoch(
    membrane: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def requested(self: Stop) -> Stopped | None:
        nonlocal looks
        looks += 1
        return Stopped("the test", 1, saved=True) if looks % 4 == 0 else None

    monkeypatch.setattr(Stop, "requested", requested)
    arguments = (*LEAST, "batch_size=100", "trainer.accumulate=4", "epochs=3")
    codes = []
    with recorded_steps() as steps:
        while not codes or codes[-1] == 75:
            codes.append(membrane(*arguments))
    assert codes[-1] == 0
    assert len(codes) > 2
    assert max(differences(steps, arguments)) < TOLERANCE


def test_so_is_every_step_of_a_debug_run(tmp_path: Path) -> None:
    arguments = (*LEAST, "batch_size=100", "trainer.accumulate=2", "debug=fast", "debug.batches=5", "epochs=2")
    with recorded_steps() as steps:
        fit(tmp_path, *arguments)
    assert len(steps) == 6
    assert max(differences(steps, arguments, most=500)) < TOLERANCE


def test_overfitting_accumulates_a_last_group_too(tmp_path: Path) -> None:
    arguments = (*LEAST, "batch_size=100", "trainer.accumulate=2", "debug=overfit", "debug.overfit=3", "epochs=2")
    with recorded_steps() as steps:
        fit(tmp_path, *arguments)
    # the same samples in both epochs, in another order: their gradients are those of batches of 200 and 100
    assert len(steps) == 4
    config = configured(*arguments)
    learner = build_learner(config)
    train, _ = Digits().load(Path(), 2)
    x, y = train.x[:300].float() / 16, train.y[:300]
    for epoch in (0, 1):
        for (parameters, gradients), samples in zip(
            steps[2 * epoch : 2 * epoch + 2], groups(300, 200, config.seed, epoch), strict=True
        ):
            expected = gradients_at(learner.model, parameters, partial(step_loss, learner, x[samples], y[samples]))
            assert difference(gradients, expected) < TOLERANCE


def test_a_penalty_and_soft_labels_count_by_the_weight_too() -> None:
    learner = build_learner(
        configured("regularizer=firing_rate", "regularizer.lower=0.9", "regularizer.upper=0.95", "augmentation=[mixup]")
    )
    learner._trainer = type("T", (), {"current_epoch": 0})()  # type: ignore[assignment]
    index = torch.arange(6)
    batch = Batch(torch.rand(6, 1, 8, 8), index, None, index, index)
    losses = [learner.train().training_step(batch._replace(weight=weight), 0).item() for weight in (1.0, 0.375)]
    assert losses[1] == pytest.approx(0.375 * losses[0], rel=1e-6)
