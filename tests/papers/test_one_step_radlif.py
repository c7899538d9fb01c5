"""The gradients of the RadLIF row equal those of a loop over the equations of Bittar and Garner (2022)."""

import torch
from configurations import configured
from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn.functional import batch_norm, cross_entropy

from membrane.data.feed.batch import Batch
from membrane.randomness import generator
from membrane.training.assembly import build_learner

N, T = 8, 12


class Step(torch.autograd.Function):
    """u → 1 where u ≥ 0; the derivative is 1 where |u| ≤ ½."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return gradient * (u.abs() <= 0.5)


def hidden_layer(x: Tensor, parameters: list[Tensor]) -> Tensor:
    """x [T,N,F] → spikes [T,N,G]; parameters: weights, γ and β of the norm, α, β, a, b, weights between neurons."""
    weight, scale, shift, alpha, beta, a, b, between = parameters
    current = x @ weight.T
    current = batch_norm(current.flatten(0, 1), None, None, scale, shift, True).reshape(current.shape)
    between = between - between.diag().diag()
    u = w = s = torch.zeros_like(current[0])
    spikes = []
    for each in current:
        w = beta * w + a * u + b * s
        u = alpha * (u - s) + (1 - alpha) * (each + s @ between.T - w)
        s = Step.apply(u - 1)
        spikes.append(s)
    return torch.stack(spikes)


def test_gradients_are_those_of_a_loop() -> None:
    settings = ("model.units=[20,16]", f"timesteps={T}", "trainer=cpu")
    learner = build_learner(configured("experiment=shd/radlif", *settings)).double().train()
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if name.startswith("norm"):
                parameter.fill_(2.0)  # so that neurons fire
    for module in learner.modules():
        if isinstance(module, layer.Dropout):
            module.p = 0.0
    ours = list(learner.model.named_parameters())
    theirs = [nn.Parameter(each.detach().clone()) for _, each in ours]
    x = (torch.rand(N, T, 1, 700, generator=generator(0, "data")) < 0.05).double()
    index = torch.arange(N)
    learner.loss(learner.framework(learner.model, x), Batch(x, index, None, index, index)).backward()
    first = hidden_layer(x.transpose(0, 1).flatten(2), theirs[:8])
    second = hidden_layer(first, theirs[8:16])
    assert 0.02 < first.mean() < 0.98
    assert 0.02 < second.mean() < 0.98
    v, prediction = torch.zeros(N, 20, dtype=x.dtype), 0
    for current in second @ theirs[16].T:
        v = v + (current - v) / 12
        prediction = prediction + v.softmax(1)
    cross_entropy(prediction, index).backward()
    for (name, mine), their in zip(ours, theirs, strict=True):
        assert their.grad is not None
        assert their.grad.abs().max() > 0, name
        assert torch.allclose(mine.grad, their.grad, rtol=1e-6, atol=1e-12), name
