"""One optimiser step of the row of learned delays equals that of a loop over the equations (Hammouamri 2024)."""

import math

import torch
from configurations import configured
from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn.functional import batch_norm, cross_entropy

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner

N, T, D, TAU, EPOCH = 6, 30, 24, 1.005, 9
SIGMA = 0.27 + 12 * (0.23 / 12) ** (EPOCH / 37)


class Step(torch.autograd.Function):
    """u → 1 where u ≥ 0; the derivative is α/2 / (1 + (π/2·α·u)²) with α = 5."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return gradient * 2.5 / (1 + (math.pi / 2 * 5 * u) ** 2)


def convolved(x: Tensor, weight: Tensor, delay: Tensor) -> Tensor:
    """x [T,N,I] → [T,N,O]: a dense sum over taps, each weight spread over all of them."""
    gauss = [torch.exp(-((tap - delay) ** 2) / (2 * SIGMA**2)) for tap in range(D + 1)]
    total = sum(gauss)
    outputs = []
    for t in range(len(x)):
        y = torch.zeros(N, len(weight), dtype=x.dtype)
        for tap in range(min(t, D) + 1):
            y = y + x[t - tap] @ (weight * gauss[tap] / total).T
        outputs.append(y)
    return torch.stack(outputs)


def hidden_layer(x: Tensor, weight: Tensor, delay: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x [T,N,I] → spikes [T,N,O]."""
    current = convolved(x, weight, delay)
    current = batch_norm(current.flatten(0, 1), None, None, scale, shift, True).reshape(current.shape)
    v, spikes = torch.zeros_like(current[0]), []
    for each in current:
        v = (1 - 1 / TAU) * v + each
        spikes.append(Step.apply(v - 1))
        v = v * (1 - spikes[-1].detach())
    return torch.stack(spikes)


def test_one_step_is_that_of_a_loop() -> None:
    settings = ("model.units=[10,8]", f"timesteps={T}", "trainer=cpu")
    learner = build_learner(configured("experiment=shd/dcls_delays", *settings)).double().train()
    learner._trainer = type("T", (), {"current_epoch": EPOCH})()
    for module in learner.modules():
        if isinstance(module, layer.Dropout):
            module.p = 0.0
    ours = list(learner.model.named_parameters())
    theirs = [nn.Parameter(each.detach().clone()) for _, each in ours]
    optimizer = learner.optimize(learner)
    learner.schedule(optimizer, 150, 150)
    x = (torch.rand(N, T, 1, 140, generator=generator(0, "data")) < 0.2).double()
    index = torch.arange(N)
    learner.training_step(Batch(x, index, None, index, index), 0).backward()
    first = hidden_layer(x.transpose(0, 1).flatten(2), *theirs[:4])
    second = hidden_layer(first, *theirs[4:8])
    assert 0.02 < first.mean() < 0.98
    assert 0.02 < second.mean() < 0.98
    v, prediction = torch.zeros(N, 20, dtype=x.dtype), 0
    for current in convolved(second, *theirs[8:]):
        v = (1 - 1 / TAU) * v + current
        prediction = prediction + v.softmax(1)
    cross_entropy(prediction, index).backward()
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert their.grad is not None
        assert their.grad.abs().max() > 0, name
        assert torch.allclose(mine.grad, their.grad, rtol=1e-5, atol=1e-10), name
        their.grad.copy_(mine.grad)  # Adam's first step is lr · sign(gradient): a last bit would decide near 0
    optimizer.step()
    delays = [each for (name, _), each in zip(ours, theirs, strict=True) if name.endswith("delay")]
    weights = [each for (name, _), each in zip(ours, theirs, strict=True) if name in ("fc1.weight", "fc2.weight")]
    weights.append(theirs[8])
    norms = [each for (name, _), each in zip(ours, theirs, strict=True) if name.startswith("norm")]
    groups = [{"params": weights, "weight_decay": 1e-5}, {"params": norms}, {"params": delays, "lr": 0.1}]
    torch.optim.Adam(groups, lr=0.005 / 25).step()  # the cycle begins at a 25th of its top
    for each in delays:
        each.data.clamp_(0, D)
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, their, rtol=0, atol=1e-12), name
