"""The gradients of a row equal those of the network of scripts/by_hand, written as snnTorch's notebook has it."""

from importlib import import_module
from typing import Any

import pytest
import torch
from configurations import configured
from torch import Tensor, nn

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner

pytest.importorskip("snntorch", reason="snnTorch is not installed: the extra bench has it")
snntorch_t5, snntorch_t6 = import_module("snntorch_t5"), import_module("snntorch_t6")  # of scripts/by_hand


def batch_of(n: int) -> Batch:
    index = torch.arange(n)
    return Batch(torch.rand(n, 1, 28, 28, generator=generator(0, "data")), index % 10, None, index, index)


def assert_same_gradients(learner: Any, theirs: nn.Module, loss: Tensor) -> None:
    loss.backward()
    ours = dict(learner.model.named_parameters())
    assert [tuple(each.shape) for each in ours.values()] == [tuple(each.shape) for each in theirs.parameters()]
    for (name, mine), their in zip(ours.items(), theirs.parameters(), strict=True):
        assert their.grad.abs().max() > 1e-6
        assert torch.allclose(mine.grad, their.grad, rtol=1e-4, atol=1e-6), name


def same_weights(learner: Any, theirs: nn.Module) -> None:
    for mine, their in zip(learner.model.parameters(), theirs.parameters(), strict=True):
        their.data.copy_(mine.data)


def test_tutorial_5() -> None:
    learner, theirs, batch = (
        build_learner(configured("experiment=snntorch/t5", "trainer=cpu")),
        snntorch_t5.Network(),
        batch_of(8),
    )
    same_weights(learner, theirs)
    learner.train().training_step(batch, 0).backward()
    spikes, potentials = theirs(batch.x)
    # the notebook sums the loss over T, ours is the mean: Adam's step is the same
    assert_same_gradients(learner, theirs, snntorch_t5.loss(potentials, batch.y) / 25)
    assert torch.equal(learner.eval()(batch.x), spikes.sum(0))


def test_tutorial_6() -> None:
    learner, theirs, batch = (
        build_learner(configured("experiment=snntorch/t6", "trainer=cpu")),
        snntorch_t6.network(),
        batch_of(3),
    )
    same_weights(learner, theirs)
    learner.train().training_step(batch, 0).backward()
    spikes = snntorch_t6.spikes(theirs, batch.x[:, 0])
    loss = import_module("snntorch.functional").ce_rate_loss()(spikes, batch.y)
    assert_same_gradients(learner, theirs, loss)
    assert torch.equal(learner.eval()(batch.x), spikes.mean(0))
