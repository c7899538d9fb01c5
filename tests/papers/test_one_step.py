"""One optimiser step of a row equals that of the network of scripts/by_hand, written as its authors wrote it."""

from collections.abc import Callable, Sequence
from functools import partial

import conv_fashion_mnist
import lif_fc_mnist
import pytest
import seq_fmnist
import torch
from configurations import configured
from spikingjelly.activation_based import encoding, functional
from torch import Tensor, nn

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner


def columns(x: Tensor) -> Tensor:
    """x [N,1,H,W] → [T,N,H], T = W."""
    return x.squeeze(1).permute(2, 0, 1)


def repeated(x: Tensor) -> Tensor:
    """x [N,1,H,W] → [T,N,1,H,W], T = 4."""
    return x.expand(4, *x.shape)


Net = Callable[[], nn.Sequential]
Show = Callable[[Tensor], Tensor]
SGD = (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9})
HAND: Sequence[tuple[str, Net, Show, tuple[type[torch.optim.Optimizer], dict[str, float]]]] = [
    ("seq_fmnist/plain", partial(seq_fmnist.network, "plain"), columns, SGD),
    ("seq_fmnist/synapse", partial(seq_fmnist.network, "synapse"), columns, SGD),
    ("seq_fmnist/feedback", partial(seq_fmnist.network, "feedback"), columns, SGD),
    ("spikingjelly/conv_fashion_mnist", conv_fashion_mnist.network, repeated, SGD),
    ("spikingjelly/conv_fashion_mnist_small", partial(conv_fashion_mnist.network, 8), repeated, SGD),
]


@pytest.mark.parametrize(("row", "net", "show", "rule"), HAND, ids=[row for row, *_ in HAND])
def test_one_step_is_that_of_the_authors_network(row: str, net: Net, show: Show, rule: tuple) -> None:
    learner = build_learner(configured(f"experiment={row}", "trainer=cpu"))
    ours, hand = list(learner.model.named_parameters()), net()
    functional.set_step_mode(hand, "m")
    theirs = list(hand.parameters())
    assert [tuple(each.shape) for _, each in ours] == [tuple(each.shape) for each in theirs]
    for (_, mine), their in zip(ours, theirs, strict=True):
        their.data.copy_(mine.data)
    before = [each.detach().clone() for each in theirs]
    x, y = torch.rand(8, 1, 28, 28, generator=generator(0, "data")), torch.arange(8)
    index = torch.arange(8)
    mine = learner.train().optimize(learner)
    learner.training_step(Batch(x, y, None, index, index), 0).backward()
    mine.step()
    kind, settings = rule
    optimizer = kind(theirs, **settings)
    nn.functional.mse_loss(hand(show(x)).mean(0), nn.functional.one_hot(y, 10).float()).backward()
    optimizer.step()
    moved = [(their - start).abs().max().item() for their, start in zip(theirs, before, strict=True)]
    assert max(moved) > 1e-4
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, their, rtol=0, atol=1e-6), name


def test_one_step_of_poisson_spikes_is_that_of_the_authors_loop() -> None:
    learner = build_learner(configured("experiment=spikingjelly/lif_fc_mnist", "trainer=cpu"))
    hand, x, y = lif_fc_mnist.network(), torch.rand(8, 1, 28, 28, generator=generator(0, "data")), torch.arange(8)
    (ours,), (theirs,) = list(learner.model.parameters()), list(hand.parameters())
    theirs.data.copy_(ours.data)
    index = torch.arange(8)
    batch = Batch(x, y, None, index, index)
    spikes = learner.train().encoded(batch, True, 0, 0).x  # [N,T,…]: the authors' loop is shown the same spikes
    assert encoding.PoissonEncoder()(x).shape == spikes[:, 0].shape
    assert abs(spikes.mean().item() - x.mean().item()) < 0.01
    optimizer = learner.optimize(learner)
    learner.training_step(batch, 0).backward()
    rate = sum(hand(spikes[:, t]) for t in range(100)) / 100
    nn.functional.mse_loss(rate, nn.functional.one_hot(y, 10).float()).backward()
    assert theirs.grad.abs().max() > 1e-6
    assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-8)
    theirs.grad.copy_(ours.grad)  # Adam's first step is lr · sign(gradient): a last bit would decide where it is near 0
    optimizer.step()
    torch.optim.Adam(hand.parameters(), lr=1e-3).step()
    assert torch.equal(ours, theirs)
