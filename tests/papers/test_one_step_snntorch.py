"""The gradients of a row equal those of the network of snnTorch's tutorial, written as its notebook has it."""

from importlib import import_module
from typing import Any

import pytest
import torch
from configurations import configured
from torch import Tensor, nn

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner

snntorch = pytest.importorskip("snntorch", reason="snnTorch is not installed: the extra bench has it")


class Tutorial5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(784, 1000), snntorch.Leaky(beta=0.95)
        self.fc2, self.lif2 = nn.Linear(1000, 10), snntorch.Leaky(beta=0.95)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second, spikes, potentials = None, None, [], []
        for _ in range(25):
            spike, first = self.lif1(self.fc1(x.flatten(1)), first)
            spike, second = self.lif2(self.fc2(spike), second)
            spikes.append(spike)
            potentials.append(second)
        return torch.stack(spikes), torch.stack(potentials)


class Tutorial6(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        leaky: dict[str, Any] = {"beta": 0.5, "spike_grad": snntorch.surrogate.fast_sigmoid(slope=25)}
        self.conv1, self.lif1 = nn.Conv2d(1, 12, 5), snntorch.Leaky(**leaky)
        self.conv2, self.lif2 = nn.Conv2d(12, 64, 5), snntorch.Leaky(**leaky)
        self.fc1, self.lif3 = nn.Linear(64 * 4 * 4, 10), snntorch.Leaky(**leaky)

    def forward(self, x: Tensor) -> Tensor:
        pool = nn.MaxPool2d(2)
        first, second, third, spikes = None, None, None, []
        for _ in range(50):
            spike, first = self.lif1(pool(self.conv1(x)), first)
            spike, second = self.lif2(pool(self.conv2(spike)), second)
            spike, third = self.lif3(self.fc1(spike.flatten(1)), third)
            spikes.append(spike)
        return torch.stack(spikes)


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
        Tutorial5(),
        batch_of(8),
    )
    same_weights(learner, theirs)
    learner.train().training_step(batch, 0).backward()
    spikes, potentials = theirs(batch.x)
    # the notebook sums the loss over T, ours is the mean: Adam's step is the same
    loss = torch.stack([nn.functional.cross_entropy(each, batch.y) for each in potentials]).mean()
    assert_same_gradients(learner, theirs, loss)
    assert torch.equal(learner.eval()(batch.x), spikes.sum(0))


def test_tutorial_6() -> None:
    learner, theirs, batch = (
        build_learner(configured("experiment=snntorch/t6", "trainer=cpu")),
        Tutorial6(),
        batch_of(3),
    )
    same_weights(learner, theirs)
    learner.train().training_step(batch, 0).backward()
    spikes = theirs(batch.x)
    loss = import_module("snntorch.functional").ce_rate_loss()(spikes, batch.y)
    assert_same_gradients(learner, theirs, loss)
    assert torch.equal(learner.eval()(batch.x), spikes.mean(0))
