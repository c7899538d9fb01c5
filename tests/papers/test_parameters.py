"""The layers of each row, worked out on paper: the shapes of all parameters, their sum, and what papers print of it."""

from collections import Counter
from itertools import pairwise
from math import prod
from pathlib import Path

import pytest
import torch
from configurations import configured

from membrane.papers.registry import paper_rows
from membrane.training.assembly import build_model

ROWS = {row.id: row.paper for row in paper_rows(Path(__file__).parents[2] / "conf" / "experiment")}
Shapes = list[tuple[int, ...]]
SCALAR: Shapes = [()]


def convolutions(*widths: int, window: tuple[int, ...] = (3, 3), bias: bool = False, norm: bool = True) -> Shapes:
    """Convolutions from each width to the next, with a batch norm's weight and bias of each channel."""
    layers = [[(b, a, *window), *[(b,)] * (bias + 2 * norm)] for a, b in pairwise(widths)]
    return [shape for each in layers for shape in each]


def dense(*widths: int, bias: bool = True) -> Shapes:
    return [shape for a, b in pairwise(widths) for shape in [(b, a), *[(b,)] * bias]]


def summed(inputs: int, classes: int, dims: int) -> Shapes:
    """The 1×1 convolution in front of a sum over positions."""
    return convolutions(inputs, classes, window=(1,) * dims, bias=True, norm=False)


def sew(channels: list[int]) -> Shapes:
    """Blocks of two 3×3 convolutions, 1×1 convolutions between widths, PLIF's τ of each neuron layer."""
    changes = [(a, b) for a, b in pairwise([2, *channels]) if a != b]
    projections = [shape for a, b in changes for shape in convolutions(a, b, window=(1, 1))]
    blocks = [shape for c in channels for shape in convolutions(c, c, c)]
    return blocks + projections + SCALAR * (2 * len(channels) + len(changes))


def stage(inputs: int, width: int, blocks: int) -> Shapes:
    """Blocks of two convolutions, and a 1×1 convolution beside the first."""
    return convolutions(inputs, *[width] * 2 * blocks) + convolutions(inputs, width, window=(1, 1))


RESNET19 = convolutions(3, 64) + stage(64, 128, 3) + stage(128, 256, 3) + stage(256, 512, 2) + dense(512, 256, 10)
VGGSNN = convolutions(2, 64, 128, 256, 256, 512, 512, 512, 512, bias=True) + dense(512 * 3 * 3, 10)
SEQUENTIAL = convolutions(3, *[128] * 6, window=(3,)) + dense(128 * 8, 256, 10)
MNIST = convolutions(1, 128, 128) + dense(128 * 7 * 7, 2048, 100, bias=False) + SCALAR * 4
LAYERS: dict[str, Shapes] = {
    "seq_fmnist/plain": dense(28, 32, 10),
    "seq_fmnist/synapse": dense(28, 32, 10) + SCALAR,
    "seq_fmnist/feedback": dense(28, 32, 10) + dense(64, 32),
    "spikingjelly/lif_fc_mnist": [(10, 784)],
    "spikingjelly/conv_fashion_mnist": convolutions(1, 128, 128) + dense(128 * 7 * 7, 2048, 10, bias=False),
    "spikingjelly/conv_fashion_mnist_small": convolutions(1, 8, 8) + dense(8 * 7 * 7, 128, 10, bias=False),
    "spikingjelly/dvs_gesture_csnn": convolutions(2, *[128] * 5) + dense(128 * 4 * 4, 512, 110),
    "snntorch/t5": dense(784, 1000, 10),
    "snntorch/t6": convolutions(1, 12, 64, window=(5, 5), bias=True, norm=False) + dense(64 * 4 * 4, 10),
    # one τ of every layer of PLIF neurons
    "plif/mnist": MNIST,
    "plif/fashion_mnist": MNIST,
    "plif/cifar10": convolutions(3, *[256] * 6) + dense(256 * 8 * 8, 2048, 100, bias=False) + SCALAR * 8,
    "plif/nmnist": convolutions(2, 128, 128) + dense(128 * 8 * 8, 2048, 100, bias=False) + SCALAR * 4,
    "plif/cifar10_dvs": convolutions(2, *[128] * 4) + dense(128 * 8 * 8, 512, 100, bias=False) + SCALAR * 6,
    "plif/dvs_gesture": convolutions(2, *[128] * 5) + dense(128 * 4 * 4, 512, 110, bias=False) + SCALAR * 7,
    "sew/dvs_gesture": sew([32] * 7) + dense(32, 11),
    "sew/cifar10_dvs": sew([64] * 4 + [128] * 3) + dense(128, 10),
    "tdbn/resnet19_cifar10": RESNET19,
    "tet/resnet19_cifar10": RESNET19,
    "tebn/resnet19_cifar10": RESNET19 + [(6,)] * (1 + 2 * (3 + 3 + 2) + 3),  # a scale of each norm and timestep
    "tet/vggsnn_cifar10_dvs": VGGSNN,
    "psn/vggsnn_cifar10_dvs": VGGSNN + [(2,), ()] * 8,  # two weights and a threshold
    # T² weights and T thresholds of every layer
    "psn/cifar10": convolutions(3, *[256] * 6) + dense(256 * 8 * 8, 4096, 10) + [(4, 4), (4, 1)] * 7,
    "psn/sequential_cifar10": SEQUENTIAL + [(32, 32), (32, 1)] * 7,
    "psn/sequential_cifar10_lif": SEQUENTIAL,
    "shd/ff": dense(700, 256, 256, 20),
    # a batch norm and α, β, a, b of each neuron, and weights between neurons of a layer
    "shd/radlif": dense(700, 1024, 1024, 20, bias=False) + [*[(1024,)] * 6, (1024, 1024)] * 2,
    "shd/se_adlif": dense(140, 360, 360, 20) + [*[(360,)] * 4, (360, 360)] * 2,
    # a weight and a delay of each synapse, a batch norm's weight and bias of each hidden neuron
    "shd/dcls_delays": dense(140, 256, 256, 20, bias=False) * 2 + [(256,)] * 4,
    "plugin/svgg16_cifar10": convolutions(3, *[64] * 2, *[128] * 2, *[256] * 3, *[512] * 6) + dense(512, 512, 512, 10),
    "plugin/sresnet8_gsc": convolutions(10, 64, window=(7,)) + convolutions(*[64] * 7, window=(3,)) + dense(64, 35),
    "plugin/scnn_dvs_gesture": convolutions(2, 16, 32, 64, 64, 128, 128, 256) + summed(256, 11, 2),
    # 700 channels: 350, 175; 88, 44; 22, 11 behind each convolution and pool
    "plugin/scnn_shd": convolutions(1, 16, 32, 64, window=(7,)) + dense(64 * 11, 20),
    "uci_har": convolutions(9, 32, 64, 64, window=(5,)) + summed(64, 6, 1),
    "fsdd": convolutions(1, 32, 64, 64) + dense(64 * 3 * 4, 10),  # 24×32: 12×16, 6×8, 3×4
    "nmnist_subset": convolutions(2, 32, 64, 64) + dense(64 * 4 * 4, 10),  # 34: 17, 8, 4
    "fashion_mnist_small": convolutions(1, 16, 32) + dense(32 * 7 * 7, 10),  # 28: 14, 14 and 7 behind the pool
}

FEW_TIMESTEPS = {row: ["timesteps=2"] for row in ("shd/radlif", "shd/se_adlif")}
"""Adaptive neurons learn their channels from a first input, which takes its time; no shape depends on T."""
PRINTED = {
    "sew/dvs_gesture": "0.13M",
    "sew/cifar10_dvs": "1.19M",
    "tdbn/resnet19_cifar10": "12.63M",
    "tet/resnet19_cifar10": "12.63M",
    "shd/ff": "250,388",
    "shd/dcls_delays": "0.2M",
    "shd/se_adlif": "0.45M",
    "shd/radlif": "3.9M",
}
"""Numbers of parameters as the papers, or pages, that a row comes from round them."""


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_the_layers_that_were_worked_out_on_paper(row: str) -> None:
    with torch.device("meta"):  # shapes, no numbers
        model = build_model(configured(f"experiment={row}", *FEW_TIMESTEPS.get(row, [])))
    assert Counter(tuple(each.shape) for each in model.parameters()) == Counter(LAYERS[row])
    assert ROWS[row].parameters == sum(map(prod, LAYERS[row]))


@pytest.mark.parametrize("row", PRINTED)
def test_their_sum_is_what_the_paper_prints(row: str) -> None:
    count, printed = sum(map(prod, LAYERS[row])), PRINTED[row]
    decimals = len(printed.removesuffix("M").partition(".")[2])
    assert printed == (f"{count / 1e6:.{decimals}f}M" if printed.endswith("M") else f"{count:,}")
