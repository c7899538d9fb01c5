"""From a batch to the loss and the measures, against numbers worked out by hand."""

from collections.abc import Iterator
from functools import partial

import lightning as L
import pytest
import torch
from torch import nn

from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError
from membrane.framework import MultiStep
from membrane.learner import FiniteLoss, Learner
from membrane.losses import CrossEntropy
from membrane.metrics import Classification, Regression, TrainingMetrics
from membrane.randomness import generator
from membrane.readout import Mean


class Fixed(nn.Module):
    """[T,N,2] → the same: what it is shown is its output."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def learner(model: nn.Module | None = None) -> Learner:
    return Learner(
        model=model or Fixed(),
        framework=MultiStep(3),
        readout=Mean(),
        loss=CrossEntropy(Mean()),
        augmentation=Pipeline({}, classes=2, timesteps_in_data=False, seed=0),
        metrics=partial(Classification, 2),
        seed=0,
        optimize=lambda module: torch.optim.SGD(module.parameters(), lr=0.0),
        schedule=lambda optimizer, steps, epochs: {"scheduler": torch.optim.lr_scheduler.ConstantLR(optimizer)},
    )


def batch(x: list[list[float]], y: list[int]) -> Batch:
    n = len(y)
    return Batch(torch.tensor(x), torch.tensor(y), None, torch.arange(n), torch.arange(n))


# losses by hand: log(1 + e^-2) where right, log(1 + e^2) where wrong
RIGHT, WRONG = 0.126928, 2.126928
BATCHES = [batch([[2.0, 0.0]] * 3, [0, 0, 1]), batch([[0.0, 2.0]], [0])]


class Two:
    """The two batches, as a loader."""

    def __iter__(self) -> Iterator[Batch]:
        return iter(BATCHES)

    def __len__(self) -> int:
        return len(BATCHES)


def test_a_short_last_batch_biases_no_measure() -> None:
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.test(learner(), Two(), verbose=False)
    # two of four right; the mean over samples, not over batches
    assert trainer.callback_metrics["test/acc"].item() == pytest.approx(0.5)
    assert trainer.callback_metrics["test/loss"].item() == pytest.approx((2 * RIGHT + 2 * WRONG) / 4, rel=1e-5)


def test_training_is_counted_by_samples_too_and_starts_anew_after_it_is_read() -> None:
    running = TrainingMetrics(Classification(2))
    for each in BATCHES:
        loss = nn.functional.cross_entropy(each.x, each.y)
        running.update(each.x, each.y, loss)
    found = running.read()
    assert found["train/loss"] == pytest.approx((2 * RIGHT + 2 * WRONG) / 4, rel=1e-5)
    assert found["train/acc"] == pytest.approx(0.5)
    assert running.read() == {}
    running.update(BATCHES[1].x, BATCHES[1].y, torch.tensor(WRONG))
    running.read()
    assert running.read_epoch()["train/acc"] == pytest.approx(2 / 5)
    running.update(BATCHES[1].x, BATCHES[1].y, torch.tensor(WRONG))
    running.read()
    assert running.read_epoch() == pytest.approx({"train/loss": WRONG, "train/acc": 0.0})


@pytest.mark.parametrize("sums", [None, torch.tensor([3.0, 1.0, 2.0]), [3.0, 1.0, 2.0]])
def test_sums_go_on_from_what_any_version_kept(sums: object) -> None:
    running = TrainingMetrics(Classification(2))
    running.load_state_dict({"sums": sums, "epoch_sums": [0.0, 0.0, 0.0]})
    running.update(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]), torch.tensor(0.5))
    found = running.read()
    assert (found["train/loss"], found["train/acc"]) == ((0.5, 0.5) if sums is None else (1.0, 0.5))


def test_soft_labels_count_by_their_largest_share() -> None:
    running = TrainingMetrics(Classification(2))
    running.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.4, 0.6]]), torch.tensor(1.0))
    assert running.read()["train/acc"] == 0


def test_in_regression_training_shows_the_mean_absolute_error() -> None:
    running = TrainingMetrics(Regression(2))
    assert running.names == ["train/loss", "train/mae"]
    running.update(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 4.0]]), torch.tensor(2.0))
    running.update(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0]]), torch.tensor(5.0))
    assert running.read() == pytest.approx({"train/loss": 3.0, "train/mae": (1.5 + 2 + 0) / 3})


class Noisy(nn.Module):
    """Draws from the global generator, as library dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.drawn: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.drawn.append(torch.rand(1).item())
        return x * self.weight


def test_dropout_depends_on_epoch_and_step_and_on_nothing_drawn_before() -> None:
    def draws(before: int) -> list[float]:
        model = Noisy()
        torch.rand(before)
        made = learner(model)
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=2,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(made, Two())
        return model.drawn

    first = draws(0)
    assert len(set(first)) == 4
    assert draws(17) == first


def test_a_step_draws_what_its_stream_gives() -> None:
    model = Noisy()
    made = learner(model)
    made._trainer = type("T", (), {"current_epoch": 5})()
    made.training_step(BATCHES[0], 7)
    expected = torch.rand(1, generator=generator(made.seed, "model", 5, 7)).item()
    assert model.drawn == [expected]


def test_a_step_tells_the_epoch_to_modules_that_ask_for_it() -> None:
    model = nn.Sequential(Noisy())
    told: list[int] = []
    model[0].set_epoch = told.append
    made = learner(model)
    for epoch in (0, 5):
        made._trainer = type("T", (), {"current_epoch": epoch})()
        made.training_step(BATCHES[0], 7)
    made.validation_step(BATCHES[0], 0)
    assert told == [0, 5]


def test_a_loss_that_is_not_one_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^the loss is \[3\] of a batch of 3, must be one number: its mean\(\)"):
        FiniteLoss().watch(torch.ones(3), 0, 0, torch.arange(3))
