"""The parameters of each row, counted on paper from its layers."""

from itertools import pairwise
from pathlib import Path

import pytest

from membrane.papers.registry import paper_rows

ROWS = {row.id: row.paper for row in paper_rows(Path(__file__).parents[2] / "conf" / "experiment")}


def convolutions(*widths: int, window: int = 9, bias: bool = False, norm: bool = True) -> int:
    """Convolutions from each width to the next, with a batch norm's weight and bias of each channel."""
    return sum(a * b * window + (bias + 2 * norm) * b for a, b in pairwise(widths))


def dense(*widths: int, bias: bool = True) -> int:
    return sum((a + bias) * b for a, b in pairwise(widths))


def sew(channels: list[int]) -> int:
    """Blocks of two 3×3 convolutions, 1×1 convolutions between widths, PLIF's τ of each neuron layer."""
    changes = [(a, b) for a, b in pairwise([2, *channels]) if a != b]
    projections = sum(convolutions(a, b, window=1) for a, b in changes)
    return sum(convolutions(c, c, c) for c in channels) + projections + 2 * len(channels) + len(changes)


STAGES = [(64, 128, 3), (128, 256, 3), (256, 512, 2)]
RESNET19 = (
    convolutions(3, 64)
    + sum(convolutions(a, *[b] * 2 * blocks) + convolutions(a, b, window=1) for a, b, blocks in STAGES)
    + dense(512, 256, 10)
)
VGGSNN = convolutions(2, 64, 128, 256, 256, 512, 512, 512, 512, bias=True) + dense(512 * 3 * 3, 10)
SEQUENTIAL = convolutions(3, *[128] * 6, window=3) + dense(128 * 8, 256, 10)
MNIST = convolutions(1, 128, 128) + dense(128 * 7 * 7, 2048, 100, bias=False) + 4
COUNTED = {
    "seq_fmnist/plain": dense(28, 32, 10),
    "seq_fmnist/synapse": dense(28, 32, 10) + 1,
    "seq_fmnist/feedback": dense(28, 32, 10) + dense(64, 32),
    "spikingjelly/lif_fc_mnist": 784 * 10,
    "spikingjelly/conv_fashion_mnist": convolutions(1, 128, 128) + dense(128 * 7 * 7, 2048, 10, bias=False),
    "spikingjelly/conv_fashion_mnist_small": convolutions(1, 16, 16) + dense(16 * 7 * 7, 256, 10, bias=False),
    "spikingjelly/dvs_gesture_csnn": convolutions(2, *[128] * 5) + dense(128 * 4 * 4, 512, 110),
    "snntorch/t5": dense(784, 1000, 10),
    "snntorch/t6": convolutions(1, 12, 64, window=25, bias=True, norm=False) + dense(64 * 4 * 4, 10),
    # one τ of every layer of PLIF neurons
    "plif/mnist": MNIST,
    "plif/fashion_mnist": MNIST,
    "plif/cifar10": convolutions(3, *[256] * 6) + dense(256 * 8 * 8, 2048, 100, bias=False) + 8,
    "plif/nmnist": convolutions(2, 128, 128) + dense(128 * 8 * 8, 2048, 100, bias=False) + 4,
    "plif/cifar10_dvs": convolutions(2, *[128] * 4) + dense(128 * 8 * 8, 512, 100, bias=False) + 6,
    "plif/dvs_gesture": convolutions(2, *[128] * 5) + dense(128 * 4 * 4, 512, 110, bias=False) + 7,
    "sew/dvs_gesture": sew([32] * 7) + dense(32, 11),
    "sew/cifar10_dvs": sew([64] * 4 + [128] * 3) + dense(128, 10),
    "tdbn/resnet19_cifar10": RESNET19,
    "tet/resnet19_cifar10": RESNET19,
    "tebn/resnet19_cifar10": RESNET19 + (1 + 2 * (3 + 3 + 2) + 3) * 6,  # a scale of each norm and timestep
    "tet/vggsnn_cifar10_dvs": VGGSNN,
    "psn/vggsnn_cifar10_dvs": VGGSNN + 8 * (2 + 1),  # two weights and a threshold
    # T² weights and T thresholds of every layer
    "psn/cifar10": convolutions(3, *[256] * 6) + dense(256 * 8 * 8, 4096, 10) + 7 * (4 * 4 + 4),
    "psn/sequential_cifar10": SEQUENTIAL + 7 * (32 * 32 + 32),
    "psn/sequential_cifar10_lif": SEQUENTIAL,
    "shd/ff": dense(700, 256, 256, 20),
    # a batch norm and α, β, a, b of each neuron, and weights between neurons of a layer
    "shd/radlif": dense(700, 1024, 1024, 20, bias=False) + 2 * (2 * 1024 + 4 * 1024 + 1024 * 1024),
    "shd/se_adlif": dense(140, 360, 360, 20) + 2 * (4 * 360 + 360 * 360),
    # a weight and a delay of each synapse, a batch norm's weight and bias of each hidden neuron
    "shd/dcls_delays": 2 * (140 * 256 + 256 * 256 + 256 * 20) + 2 * (256 + 256),
    "plugin/svgg16_cifar10": convolutions(3, *[64] * 2, *[128] * 2, *[256] * 3, *[512] * 6) + dense(512, 512, 512, 10),
    "plugin/sresnet8_gsc": convolutions(10, 64, window=7) + convolutions(*[64] * 7, window=3) + dense(64, 35),
    "plugin/scnn_dvs_gesture": convolutions(2, 16, 32, 64, 64, 128, 128, 256) + dense(256, 11),
    # 700 channels: 350, 175; 88, 44; 22, 11 behind each convolution and pool
    "plugin/scnn_shd": convolutions(1, 16, 32, 64, window=7) + dense(64 * 11, 20),
    "uci_har": convolutions(9, 32, 64, 64, window=5) + dense(64, 6),
    "fsdd": convolutions(1, 32, 64, 64) + dense(64 * 3 * 4, 10),  # 24×32: 12×16, 6×8, 3×4
    "nmnist_subset": convolutions(2, 32, 64, 64) + dense(64 * 4 * 4, 10),  # 34: 17, 8, 4
    "fashion_mnist_small": convolutions(1, 16, 32) + dense(32 * 7 * 7, 10),  # 28: 14, 14 and 7 behind the pool
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_states_what_was_counted_on_paper(row: str) -> None:
    assert ROWS[row].parameters == COUNTED[row]
