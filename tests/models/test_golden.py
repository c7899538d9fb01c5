"""Five steps of plain SGD under each strategy: the losses are fixed, so a change of any part of training shows.

In float64, so that the numbers do not hang on a processor's order of summation. Where no layer mixes timesteps,
single-step and multi-step must give the same numbers; the first loss of the SMLP is worked out in numpy beside them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn
from torch.nn import functional as F

from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.models.sresnet import SResNet
from membrane.models.sresnet_stride import SResNetStride
from membrane.neurons import make_neuron
from membrane.randomness import scoped
from membrane.readout import Mean

T, N, CLASSES, SHAPE = 4, 16, 4, (2, 8, 8)
MODELS: dict[str, Callable[..., nn.Module]] = {
    "smlp": partial(SMLP, units=[32]),
    "scnn": partial(SCNN, filters=[8, 8], norm="none"),
    "scnn_batch_norm": partial(SCNN, filters=[8, 8]),
    "sresnet": partial(SResNet, filters=[8, 8], strides=[1, 2], norm="none"),
    "sresnet_stride": partial(SResNetStride, filters=[8, 8], strides=[1, 2]),
}
STRATEGIES = {
    "singlestep": SingleStep,
    "multistep": MultiStep,
    "singlestep_tid": SingleStepTID,
    "multistep_tid": MultiStepTID,
}
GOLDEN: dict[tuple[str, str], list[float]] = {
    ("smlp", "singlestep"): [1.324323, 1.157779, 1.004045, 0.835377, 0.686087],
    ("smlp", "multistep"): [1.324323, 1.157779, 1.004045, 0.835377, 0.686087],
    ("smlp", "singlestep_tid"): [1.332987, 1.235777, 1.081515, 0.951516, 0.786044],
    ("smlp", "multistep_tid"): [1.332987, 1.235777, 1.081515, 0.951516, 0.786044],
    ("scnn", "singlestep"): [1.418199, 1.384626, 1.373983, 1.353175, 1.293027],
    ("scnn", "multistep"): [1.418199, 1.384626, 1.373983, 1.353175, 1.293027],
    ("scnn", "singlestep_tid"): [1.41157, 1.363805, 1.38758, 1.378988, 1.327103],
    ("scnn", "multistep_tid"): [1.41157, 1.363805, 1.38758, 1.378988, 1.327103],
    ("scnn_batch_norm", "singlestep"): [1.446998, 1.436459, 1.377372, 1.300199, 1.227459],
    ("scnn_batch_norm", "multistep"): [1.43037, 1.406625, 1.368205, 1.321017, 1.267005],
    ("scnn_batch_norm", "singlestep_tid"): [1.395977, 1.381101, 1.352985, 1.333484, 1.284966],
    ("scnn_batch_norm", "multistep_tid"): [1.400699, 1.390698, 1.356211, 1.319694, 1.271486],
    ("sresnet", "singlestep"): [1.499539, 1.451085, 1.39615, 1.386272, 1.391575],
    ("sresnet", "multistep"): [1.499539, 1.451085, 1.39615, 1.386272, 1.391575],
    ("sresnet", "singlestep_tid"): [1.482188, 1.438932, 1.398117, 1.386149, 1.395287],
    ("sresnet", "multistep_tid"): [1.482188, 1.438932, 1.398117, 1.386149, 1.395287],
    ("sresnet_stride", "singlestep"): [1.384825, 1.381691, 1.378115, 1.376005, 1.36803],
    ("sresnet_stride", "multistep"): [1.388847, 1.388255, 1.382471, 1.37568, 1.371976],
    ("sresnet_stride", "singlestep_tid"): [1.381815, 1.381874, 1.377005, 1.374727, 1.371122],
    ("sresnet_stride", "multistep_tid"): [1.380983, 1.382075, 1.376117, 1.372967, 1.373283],
}


def model(name: str) -> nn.Module:
    with scoped(0, "initialisation"):
        # without batch norm only a low threshold lets spikes reach the head
        threshold = 0.25 if name in ("scnn", "sresnet") else 1.0
        fire = partial(make_neuron, neuron.LIFNode, surrogate.ATan, v_threshold=threshold, v_reset=None)
        return MODELS[name](input_shape=SHAPE, classes=CLASSES, timesteps=T, neuron=fire).double()


def data(in_data: bool) -> tuple[Tensor, Tensor]:
    """Each class is a pattern, in noise: x [N,…] or [N,T,…] and y [N]."""
    numbers = torch.Generator().manual_seed(0)
    y = torch.arange(N) % CLASSES
    patterns = 2 * torch.rand(CLASSES, *SHAPE, generator=numbers, dtype=torch.float64)
    x = patterns[y].unsqueeze(1) + torch.randn(N, T, *SHAPE, generator=numbers, dtype=torch.float64)
    return (2 * x if in_data else 2 * x[:, 0]), y


def losses(name: str, strategy: str) -> list[float]:
    """Of five steps of SGD on one batch."""
    trained, run = model(name).train(), STRATEGIES[strategy](T)
    x, y = data(run.timesteps_in_data)
    optimizer, found = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=0.9), []
    for _ in range(5):
        loss = F.cross_entropy(Mean()(run(trained, x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize(("name", "strategy"), GOLDEN)
def test_golden_losses(name: str, strategy: str) -> None:
    found = losses(name, strategy)
    assert found == pytest.approx(GOLDEN[name, strategy], rel=1e-4)
    assert found[-1] < found[0]


@pytest.mark.parametrize("name", ["smlp", "scnn", "sresnet"])
@pytest.mark.parametrize("suffix", ["", "_tid"])
def test_single_step_and_multi_step_learn_the_same(name: str, suffix: str) -> None:
    single, multi = losses(name, f"singlestep{suffix}"), losses(name, f"multistep{suffix}")
    assert single == pytest.approx(multi, rel=1e-10)
    assert GOLDEN[name, f"singlestep{suffix}"] == GOLDEN[name, f"multistep{suffix}"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_loss_in_numpy(strategy: str) -> None:
    in_data = strategy.endswith("_tid")
    weights: dict[str, Any] = {name: value.numpy() for name, value in model("smlp").state_dict().items()}
    x, y = (tensor.numpy() for tensor in data(in_data))
    v, total, fired = np.zeros((N, 32)), np.zeros((N, CLASSES)), 0.0
    for t in range(T):
        current = (x[:, t] if in_data else x).reshape(N, -1) @ weights["fc1.weight"].T + weights["fc1.bias"]
        v = v + (current - v) / 2
        spikes = (v >= 1).astype(float)
        v = v - spikes
        total += spikes @ weights["head.weight"].T + weights["head.bias"]
        fired += spikes.mean() / T
    mean = total / T
    loss = np.mean(np.log(np.exp(mean).sum(1)) - mean[np.arange(N), y])
    assert 0.1 < fired < 0.9
    assert losses("smlp", strategy)[0] == pytest.approx(loss, rel=1e-10)
    assert GOLDEN["smlp", strategy][0] == pytest.approx(loss, rel=1e-4)
