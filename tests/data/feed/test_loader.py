"""Batches by index: every sample once, in the order that was asked for."""

from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from membrane.data.feed.batch import Batch
from membrane.data.feed.loader import Batches
from membrane.data.feed.module import DataModule
from membrane.data.feed.part import Part
from membrane.data.feed.workers import Workers
from membrane.data.samples import Samples


def samples(n: int, scale: float = 1.0) -> Samples:
    x = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 2, 3, 3).contiguous()
    return Samples(x, torch.arange(n) % 3, torch.arange(n) // 2, scale)


@given(st.integers(1, 40), st.integers(1, 12), st.randoms(use_true_random=False))
def test_every_sample_comes_once_in_the_order_given(n: int, size: int, chance) -> None:
    order = torch.tensor(chance.sample(range(n), n))
    behind = Part((samples(100), samples(n)), torch.arange(n) + 100)
    loader = Batches(behind, size, order=lambda epoch: order)
    batches = list(loader)
    assert len(batches) == len(loader) == -(-n // size)
    assert [len(batch.y) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert torch.cat([batch.x[:, 0, 0, 0] for batch in batches]).tolist() == order.tolist()
    assert torch.cat([batch.y for batch in batches]).tolist() == [i % 3 for i in order.tolist()]
    assert torch.cat([batch.recording for batch in batches]).tolist() == [50 + i // 2 for i in order.tolist()]
    assert torch.cat([batch.index for batch in batches]).tolist() == [i + 100 for i in order.tolist()]


def test_pixels_become_floats_at_their_scale() -> None:
    batch = next(iter(Batches(Part.whole(samples(4, scale=0.5)), 4)))
    assert batch.x.dtype == torch.float32
    assert batch.x[:, 0, 0, 0].tolist() == [0, 0.5, 1, 1.5]


def test_what_runs_before_the_accelerator_sees_the_epoch_and_the_step() -> None:
    loader = Batches(
        Part.whole(samples(5)),
        2,
        transform=lambda batch, epoch, step: batch._replace(x=batch.x + 100 * epoch + 10 * step),
        epoch=lambda: 3,
    )
    assert [batch.x[0, 0, 0, 0].item() for batch in loader] == [300, 312, 324]


@pytest.mark.parametrize("workers", [None, Workers(2)])
def test_an_iteration_starts_after_the_batches_that_were_handed_out(workers: Workers | None) -> None:
    built: list[int] = []

    def note(batch: Batch, epoch: int, step: int) -> Batch:
        built.append(step)
        return batch

    loader = Batches(Part.whole(samples(23)), 5, transform=note, workers=workers)
    whole = [batch.index.tolist() for batch in loader]
    assert loader.state_dict() == {"step": 5}
    iterator = iter(loader)
    first = [next(iterator).index.tolist() for _ in range(2)]
    state = loader.state_dict()
    assert state == {"step": 2}
    again = Batches(Part.whole(samples(23)), 5, transform=note, workers=workers)
    again.load_state_dict(state)
    assert (again.state_dict(), len(again)) == (state, 5)
    built.clear()
    assert first + [batch.index.tolist() for batch in again] == whole
    assert built == ([] if workers else [2, 3, 4])
    assert [batch.index.tolist() for batch in again] == whole
    again.load_state_dict({"step": 5})
    assert [batch.index.tolist() for batch in again] == whole


def test_what_a_worker_sends_takes_nothing_along() -> None:
    for batch in Batches(Part.whole(samples(23)), 5, workers=Workers(1)):
        for column in (batch.y, batch.recording, batch.index):
            assert column.untyped_storage().nbytes() == column.nbytes


class Indices(L.LightningModule):
    """Notes (epoch, step, index of every sample) of the batches that it trains on; draws nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, int, list[int]]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch_idx, batch.index.tolist()))
        return self.weight * batch.x.mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Breaks(L.Callback):
    """Writes a checkpoint after a batch and goes down."""

    def __init__(self, epoch: int, step: int, path: Path) -> None:
        self.epoch, self.step, self.path = epoch, step, path

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *batch: Any) -> None:
        if (trainer.current_epoch, batch[2]) == (self.epoch, self.step):
            trainer.save_checkpoint(self.path)
            raise KeyError("down")


class Halves:
    """60 samples to train on, 4 to test."""

    def load(self, root: Path, timesteps: int) -> tuple[Samples, Samples]:
        return samples(60), samples(4)


def fit(workers: int, path: Path | None = None, *callbacks: L.Callback) -> list[tuple[int, int, list[int]]]:
    module = Indices()
    told = {"shape": [2, 3, 3], "classes": 3, "timesteps": 1, "timesteps_in_data": False, "protocol": "val_best"}
    data = DataModule(Halves(), root=Path(), batch_size=8, seed=5, workers=workers, **told)
    off = {f"enable_{name}": False for name in ("checkpointing", "progress_bar", "model_summary")}
    trainer = L.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, num_sanity_val_steps=0, callbacks=list(callbacks), **off
    )
    with suppress(KeyError):
        trainer.fit(module, datamodule=data, ckpt_path=path)
    assert not active_children()
    return module.seen


@pytest.mark.parametrize(
    ("workers", "step"),
    [(0, 0), (2, 3), (0, 6), *(pytest.param(*each, marks=pytest.mark.whole) for each in [(0, 3), (2, 0), (2, 6)])],
)
def test_a_fit_that_broke_in_the_middle_of_an_epoch_goes_on_with_the_next_batch(
    workers: int, step: int, tmp_path: Path
) -> None:
    unbroken = fit(workers)
    assert [(epoch, step) for epoch, step, _ in unbroken] == [(epoch, step) for epoch in range(4) for step in range(7)]
    assert len({str([index for e, _, index in unbroken if e == epoch]) for epoch in range(4)}) == 4
    path = tmp_path / "broken.ckpt"
    before = fit(workers, None, Breaks(2, step, path))
    after = fit(2 - workers, path)
    assert len(before) == 2 * 7 + step + 1
    assert before + after == unbroken
