"""One training step of a net: forward, loss, zero_grad, backward, optimiser."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from membrane.bench.peers.net import Net
from membrane.bench.precision import precision_context
from membrane.bench.workloads import Workload

TrainingStep = Callable[[], None]
ACTIVE = 0.1
"""The fraction of non-zero pixels in a frame of events."""


def random_samples(workload: Workload, device: torch.device) -> tuple[Tensor, Tensor]:
    """Draw x, [N,…] normal or events [N,T,…] in {0, 1}, and labels y [N], the same at every call."""
    generator = torch.Generator().manual_seed(0)
    if workload.in_data and workload.classes:
        x = (torch.rand(workload.input_shape, generator=generator) < ACTIVE).float()
    else:
        x = torch.randn(workload.input_shape, generator=generator)
    y = torch.randint(max(workload.classes, 1), (workload.batch,), generator=generator)
    return x.to(device), y.to(device)


def training_step(net: Net, x: Tensor, y: Tensor, precision: str) -> TrainingStep:
    """Build a step on a batch: cross-entropy of the mean output over T, SGD with momentum."""
    net.module.train()
    optimizer = torch.optim.SGD(net.module.parameters(), lr=0.01, momentum=0.9)
    x = net.arrange(x)

    def step() -> None:
        with precision_context(precision, x.device):
            loss = F.cross_entropy(net.forward(x).mean(0), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def evaluation_step(net: Net, x: Tensor, precision: str) -> TrainingStep:
    """Build a step that computes the outputs of a batch in eval mode, without gradients."""
    net.module.eval()
    x = net.arrange(x)

    def step() -> None:
        with torch.no_grad(), precision_context(precision, x.device):
            net.forward(x)

    return step


def layer_step(net: Net, x: Tensor) -> TrainingStep:
    """Build a step of a layer without parameters: forward, and backward from a fixed gradient of its output."""
    x = net.arrange(x).detach().requires_grad_()
    with torch.no_grad():
        gradient = torch.rand_like(net.forward(x))

    def step() -> None:
        x.grad = None
        net.forward(x).backward(gradient)  # type: ignore[no-untyped-call]

    return step
