"""The gradients of the SE-adLIF row equal those of a loop over the equations of Baronig et al. (2024)."""

import math

import torch
from configurations import configured
from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner

N, T = 8, 12


def fired(u: Tensor) -> Tensor:
    """u → 1 where u ≥ 0, with the derivative α·c/2·exp(−α·|u|) of SLAYER, α = 5, c = 0.4."""
    derivative = (torch.exp(-5 * u.abs()) * 5 * 0.4 / 2).detach()
    return (u >= 0).to(u.dtype) + derivative * (u - u.detach())


def hidden_layer(x: Tensor, parameters: list[Tensor]) -> Tensor:
    """x [T,N,F] → spikes [T,N,G]; parameters: weights, biases, α, β, a, b, weights between neurons."""
    weight, bias, alpha, beta, a, b, between = parameters
    between = between - between.diag().diag()
    u = w = s = torch.zeros_like(linear(x[0], weight))
    spikes = []
    for each in x:
        u = alpha * u + (1 - alpha) * (linear(each, weight, bias) + s @ between.T - w)
        s = fired(u - 1)
        u = u * (1 - s.detach())
        w = beta * w + (1 - beta) * 120 * (a * u + b * s)
        spikes.append(s)
    return torch.stack(spikes)


def test_gradients_are_those_of_a_loop() -> None:
    settings = ("model.units=[20,16]", f"timesteps={T}", "trainer=cpu")
    learner = build_learner(configured("experiment=shd/se_adlif", *settings)).double().train()
    for module in learner.modules():
        if isinstance(module, layer.Dropout):
            module.p = 0.0
    ours = list(learner.model.named_parameters())
    with torch.no_grad():
        for name, parameter in ours:
            if name.startswith("fc"):
                parameter.mul_(9).add_(0.6)  # so that neurons fire
    theirs = [nn.Parameter(each.detach().clone()) for _, each in ours]
    x = (torch.rand(N, T, 1, 140, generator=generator(0, "data")) < 0.1).double()
    index = torch.arange(N)
    learner.loss(learner.framework(learner.model, x), Batch(x, index, None, index, index)).backward()
    first = hidden_layer(x.transpose(0, 1).flatten(2), theirs[:7])
    second = hidden_layer(first, theirs[7:14])
    assert 0.02 < first.mean() < 0.98
    assert 0.02 < second.mean() < 0.98
    v, prediction = torch.zeros(N, 20, dtype=x.dtype), 0
    for current in linear(second, *theirs[14:]):
        v = math.exp(-1 / 15) * v + (1 - math.exp(-1 / 15)) * current
        prediction = prediction + v.softmax(1)
    cross_entropy(prediction, index).backward()
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert their.grad is not None
        assert their.grad.abs().max() > 0, name
        assert torch.allclose(mine.grad, their.grad, rtol=1e-5, atol=1e-10), name
