"""Protocols: which samples train, validate and test, and who may read which when."""

from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn

from membrane.data.feed.batch import Batch
from membrane.data.feed.module import DataModule, DataSet
from membrane.data.samples import Samples, dataset_digest
from membrane.errors import DataError, ProtocolError


class Numbers:
    """100 training samples of four classes, 20 of test; x holds the sample's number."""

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        return self.part(0, 100), self.part(100, 120)

    def part(self, start: int, stop: int) -> Samples:
        number = torch.arange(start, stop)
        return Samples(number.to(torch.uint8).reshape(-1, 1, 1, 1), number % 4, number)


def module(protocol: str = "val_best", **changes) -> DataModule:
    given = {"shape": [1, 1, 1], "classes": 4, "timesteps": 3, "timesteps_in_data": False, "batch_size": 8, "seed": 0}
    return DataModule(Numbers(), root=Path(), protocol=protocol, **{**given, **changes})


def numbers(loader) -> list[int]:
    return torch.cat([batch.x.flatten() for batch in loader]).int().tolist()


def test_val_best_cuts_fifteen_percent_of_every_class_from_the_training_data() -> None:
    data = module()
    data.setup()
    train, val, test = (numbers(data.batches(name)) for name in ("train", "val", "test"))
    assert sorted(train + val) == list(range(100))
    assert test == list(range(100, 120))
    assert len(val) in (15, 16)
    assert {sum(n % 4 == k for n in val) for k in range(4)} <= {3, 4}


def test_all_seeds_share_one_split_and_a_split_seed_changes_it() -> None:
    first, other_seed, other_split = module(), module(seed=7), module(split_seed=1)
    for data in (first, other_seed, other_split):
        data.setup()
    assert first.split_hash == other_seed.split_hash != other_split.split_hash
    assert numbers(first.batches("val")) == numbers(other_seed.batches("val"))
    assert first.data_hash == other_split.data_hash


class Measured(Numbers):
    """The same with a real number for each sample, twice."""

    def part(self, start: int, stop: int) -> Samples:
        part = super().part(start, stop)
        return Samples(part.x, part.recording[:, None] * torch.tensor([[0.5, 2.0]]), part.recording)


def measured(changed: DataSet | None = None, **changes) -> DataModule:
    data = module(**{"task": "regression", "classes": 2, **changes})
    data.dataset = changed or Measured()
    return data


def test_a_regression_validates_on_a_plain_draw_that_all_seeds_share() -> None:
    first, other_seed, other_split = measured(), measured(seed=7), measured(split_seed=1)
    for data in (first, other_seed, other_split):
        data.setup()
    val = numbers(first.batches("val"))
    assert len(val) == 15
    assert sorted(numbers(first.batches("train")) + val) == list(range(100))
    assert val == numbers(other_seed.batches("val")) != numbers(other_split.batches("val"))
    assert first.split_hash == other_seed.split_hash != other_split.split_hash
    [batch] = measured(batch_size=100, protocol="last").batches("train")
    assert batch.y.tolist() == [[0.5 * n, 2.0 * n] for n in range(100)]


class Broken(Measured):
    def part(self, start: int, stop: int) -> Samples:
        part = super().part(start, stop)
        part.y[3, 1] = torch.nan
        return part


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        (
            Measured(),
            {"classes": 3},
            r"training targets are float32 \[100, 2\], the configuration says float \[100, 3\]$",
        ),
        (Numbers(), {"classes": 1}, r"training targets are int64 \[100\], the configuration says float \[100, 1\]$"),
        (Broken(), {}, r"training part: sample 3 has nan in y at \[1\], must be finite$"),
        (
            Measured(),
            {"task": "classification"},
            r"training labels are float32 \[100, 2\], classification needs whole numbers \[100\]$",
        ),
    ],
)
def test_targets_that_are_not_what_the_task_says_are_refused(data: DataSet, changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        measured(data, **changes).setup()


@pytest.mark.parametrize("protocol", ["last", "paper_best_on_test"])
def test_without_selection_all_training_data_trains(protocol: str) -> None:
    data = module(protocol)
    data.setup()
    assert sorted(numbers(data.batches("train"))) == list(range(100))
    assert len(data.parts["val"]) == 0


class Reader(L.LightningModule):
    """Reads the test set in the middle of a fit."""

    def __init__(self, data: DataModule) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.data, self.validated = data, []

    def training_step(self, batch, batch_idx):
        if self.trainer.current_epoch == 1 and batch_idx == 0:
            self.data.test_dataloader()
        return (self.weight * batch.x.mean()).sum()

    def validation_step(self, batch, batch_idx):
        self.validated += batch.x.flatten().int().tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(data: DataModule, **changes) -> Reader:
    reader = Reader(data)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = L.Trainer(max_epochs=2, accelerator="cpu", num_sanity_val_steps=0, **quiet, **changes)
    trainer.fit(reader, datamodule=data)
    return reader


@pytest.mark.parametrize(("protocol", "changes"), [("val_best", {}), ("last", {"limit_val_batches": 0})])
def test_reading_the_test_set_while_fitting_raises(protocol: str, changes: dict) -> None:
    with pytest.raises(ProtocolError, match=f"may not be read while fitting under protocol={protocol}"):
        fit(module(protocol), **changes)


def test_the_papers_protocol_reads_the_test_set_after_every_epoch() -> None:
    assert fit(module("paper_best_on_test")).validated == list(range(100, 120)) * 2


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    orders = {}
    for seed in (0, 1):
        for epoch in (0, 1):
            data = module(seed=seed)
            data.setup()
            data.epoch = lambda epoch=epoch: epoch
            orders[seed, epoch] = tuple(numbers(data.train_dataloader()))
            assert tuple(numbers(data.train_dataloader())) == orders[seed, epoch]
    assert len(set(orders.values())) == 4
    assert len({tuple(sorted(order)) for order in orders.values()}) == 1


def test_rates_are_measured_on_training_samples_that_never_change() -> None:
    data = module("paper_best_on_test")
    data.setup()
    chosen = numbers(data.fixed_training_samples())
    assert chosen == numbers(data.fixed_training_samples())
    assert set(chosen) <= set(range(100))


def test_overfitting_validates_on_what_it_trains_on() -> None:
    data = module(overfit=1)
    data.setup()
    assert sorted(numbers(data.train_dataloader())) == sorted(numbers(data.val_dataloader()))
    assert len(numbers(data.val_dataloader())) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [2, 1, 1]}, r"training samples are \[1, 1, 1\], the configuration says \[2, 1, 1\]"),
        ({"timesteps_in_data": True}, r"the configuration says \[3, 1, 1, 1\]"),
        ({"classes": 3}, "training labels reach 3, the configuration says 3 classes: sample 3 has 3, must be 0…2"),
    ],
)
def test_data_that_is_not_what_the_configuration_says_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        module(**changes).setup()


def test_rates_are_measured_on_what_evaluation_sees() -> None:
    seen: list[tuple[bool, int]] = []

    def before(batch: Batch, training: bool, epoch: int, step: int) -> Batch:
        seen.append((training, epoch))
        return batch._replace(x=batch.x + 1)

    plain, changed = module("last"), module("last", before=before)
    first, second = (next(iter(data.fixed_training_samples())) for data in (plain, changed))
    assert torch.equal(second.x, first.x + 1)
    assert seen == [(False, -1)]


def test_the_hash_of_the_data_knows_the_test_set_and_the_scale() -> None:
    samples = Samples(torch.zeros(3, 1, 2), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    other = Samples(samples.x + 1, samples.y, samples.recording)
    scaled = Samples(samples.x, samples.y, samples.recording, scale=0.5)
    hashes = {dataset_digest(samples, part) for part in (samples, other, scaled)}
    assert len(hashes) == 3
    assert dataset_digest(samples, samples) in hashes
