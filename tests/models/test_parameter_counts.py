"""Published parameter counts, and counts on paper where SpikingJelly's implementation is not quite the published one.

Built on torch's meta device, which holds shapes and no numbers. IF neurons have no parameters.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from spikingjelly.activation_based.neuron import IFNode
from torch import nn

from membrane.models.ms_resnet import MSResNet
from membrane.models.plif_net import PLIFNet
from membrane.models.qkformer import QKFormer
from membrane.models.resnet19 import ResNet19
from membrane.models.sdt import SpikeDrivenTransformer
from membrane.models.sew_net import SEWNet
from membrane.models.sew_resnet import SEWResNet
from membrane.models.spikformer import Spikformer
from membrane.models.spiking_resnet import SpikingResNet
from membrane.models.spiking_vgg import SpikingVGG
from membrane.models.vggsnn import VGGSNN

MILLION = 1_000_000


def count(model: Callable[..., nn.Module], classes: int, shape: tuple[int, ...], **settings: Any) -> int:
    with torch.device("meta"):
        built = model(input_shape=shape, classes=classes, timesteps=4, neuron=IFNode, **settings)
    return sum(parameter.numel() for parameter in built.parameters())


IMAGENET = (1000, (3, 224, 224))
# torchvision's tables of pretrained weights (num_params), which are the papers' networks
VGG = {
    (11, "none"): 132_863_336,
    (11, "batch"): 132_868_840,
    (13, "none"): 133_047_848,
    (13, "batch"): 133_053_736,
    (16, "none"): 138_357_544,
    (16, "batch"): 138_365_992,
    (19, "none"): 143_667_240,
    (19, "batch"): 143_678_248,
}
RESNET = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


@pytest.mark.parametrize(("depth", "norm"), VGG)
def test_vgg(depth: int, norm: str) -> None:
    assert count(SpikingVGG, *IMAGENET, depth=depth, norm=norm) == VGG[depth, norm]


@pytest.mark.parametrize("model", [SpikingResNet, SEWResNet])  # element-wise joining has no parameters
@pytest.mark.parametrize("depth", RESNET)
def test_resnet(model: Callable[..., nn.Module], depth: int) -> None:
    assert count(model, *IMAGENET, depth=depth) == RESNET[depth]


@pytest.mark.parametrize(("depth", "published"), [(18, 11.69), (34, 21.80)])  # Hu et al. 2021, table of ImageNet
def test_ms_resnet(depth: int, published: float) -> None:
    # a ResNet whose first stage has stride 2 too, and therefore a 1×1 projection with a batch norm of its own
    found = count(MSResNet, *IMAGENET, depth=depth)
    assert found == RESNET[depth] + 64 * 64 + 2 * 64
    assert round(found / MILLION, 2) == published


@pytest.mark.parametrize(
    ("model", "saved"),
    # stems for CIFAR: the 7×7 kernel becomes 3×3, and a thousand classes ten
    [(SpikingResNet, 0), (SEWResNet, 0), (MSResNet, -(64 * 64 + 2 * 64))],
)
def test_cifar_stem(model: Callable[..., nn.Module], saved: int) -> None:
    on_paper = RESNET[18] - 3 * 64 * (49 - 9) - 513 * (1000 - 10)
    assert count(model, 10, (3, 32, 32)) == on_paper
    assert count(model, 10, (3, 32, 32), stem="imagenet") == on_paper + 3 * 64 * (49 - 9) - saved


def test_vgg_with_the_cifar_head() -> None:
    # the convolutions of VGG-11 with batch norm, and one linear layer in place of three
    three = (512 * 49 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
    assert count(SpikingVGG, 10, (3, 32, 32), depth=11) == VGG[11, "batch"] - three + 513 * 10


def conv(inputs: int, outputs: int, kernel: int, bias: bool = False) -> int:
    """A convolution and its batch norm."""
    return inputs * outputs * kernel**2 + bias * outputs + 2 * outputs


def spikformer(width: int, depth: int, classes: int) -> int:
    """Four 3×3 convolutions, a fifth for positions; blocks of QKV, projection and two linear layers, no biases."""
    stem = conv(3, width // 8, 3) + sum(conv(width // 2 ** (n + 1), width // 2**n, 3) for n in range(3))
    attention = conv(width, 3 * width, 1) + conv(width, width, 1)
    mlp = conv(width, 4 * width, 1) + conv(4 * width, width, 1)
    return stem + conv(width, width, 3) + depth * (attention + mlp) + (width + 1) * classes


@pytest.mark.parametrize(
    ("depth", "width", "heads", "classes", "pixels", "published", "biases"),
    [
        # Zhou et al. 2023, tables 1 and 3. The authors' linear layers have biases, SpikingJelly's do not: on ImageNet
        # those of the projection and the MLP, 6 · width a block; on CIFAR those of Q, K and V as well, 9 · width.
        (8, 384, 12, 1000, 224, 16.81, 6),
        (8, 512, 8, 1000, 224, 29.68, 6),
        (8, 768, 12, 1000, 224, 66.34, 6),
        (4, 384, 12, 10, 32, 9.32, 9),
    ],
)
def test_spikformer(
    depth: int, width: int, heads: int, classes: int, pixels: int, published: float, biases: int
) -> None:
    found = count(Spikformer, classes, (3, pixels, pixels), depths=depth, embed_dims=width, num_heads=heads)
    assert found == spikformer(width, depth, classes)
    assert (found + biases * width * depth) / MILLION == pytest.approx(published, abs=0.01)


def qkformer(width: int, depths: tuple[int, ...], classes: int, stem: int) -> int:
    """The stem, two embeddings with a shortcut, blocks of QK (twice) or QKV attention with an MLP."""
    widths = (width // 4, width // 2, width)
    between = sum(conv(a, b, 3, True) + conv(b, b, 3, True) + conv(a, b, 1, True) for a, b in pairwise(widths))
    blocks = 0
    for w, depth, maps in zip(widths, depths, (2, 2, 3), strict=True):
        mlp = conv(w, 4 * w, 1, True) + conv(4 * w, w, 1, True)
        blocks += depth * (conv(w, maps * w, 1) + conv(w, w, 1) + mlp)
    return stem + between + blocks + (width + 1) * classes


@pytest.mark.parametrize(
    ("width", "heads", "published"),
    [(384, 6, 16.47), (512, 8, 29.08), (768, 6, 64.96)],  # Zhou et al. 2024, table 2: HST-10-384, -512, -768
)
def test_qkformer_on_imagenet(width: int, heads: int, published: float) -> None:
    w = width // 4
    stem = conv(3, w // 2, 3, True) + conv(w // 2, w, 3, True) + conv(w, w, 3, True) + conv(w // 2, w, 1, True)
    found = count(QKFormer, *IMAGENET, embed_dims=width, num_heads=[heads] * 3)
    assert found == qkformer(width, (1, 2, 7), 1000, stem)
    assert found / MILLION == pytest.approx(published, abs=0.005)


def test_qkformer_on_cifar() -> None:
    # Zhou et al. 2024, table 3: HST-4-384, 6.74 M, which is that of CIFAR-100. The later embeddings are SpikingJelly's,
    # 3 · (192 + 384) biases that the authors' have not; its projections lack the 96 + 192 + 2 · 384 that theirs have.
    stem = conv(3, 48, 3) + conv(48, 96, 3) + conv(48, 96, 1)
    found = count(QKFormer, 100, (3, 32, 32), num_heads=[8] * 3, depths=[1, 1, 2])
    assert found == qkformer(384, (1, 1, 2), 100, stem)
    assert (found - 3 * (192 + 384) + 96 + 192 + 2 * 384) / MILLION == pytest.approx(6.74, abs=0.005)


@pytest.mark.parametrize(
    ("depth", "width", "classes", "pixels", "published"),
    # Yao et al. 2023, tables 2 and 5 (the latter with CIFAR-100's classes)
    [(8, 384, 1000, 224, 16.81), (6, 512, 1000, 224, 23.37), (8, 768, 1000, 224, 66.34), (2, 512, 100, 32, 10.28)],
)
def test_spike_driven_transformer(depth: int, width: int, classes: int, pixels: int, published: float) -> None:
    stem = conv(3, width // 8, 3, True) + sum(conv(width // 2 ** (n + 1), width // 2**n, 3, True) for n in range(3))
    attention = 3 * conv(width, width, 1) + conv(width, width, 1, True)
    mlp = conv(width, 4 * width, 1, True) + conv(4 * width, width, 1, True)
    found = count(SpikeDrivenTransformer, classes, (3, pixels, pixels), depths=depth, embed_dims=width)
    assert found == stem + conv(width, width, 3) + depth * (attention + mlp) + (width + 1) * classes
    assert found / MILLION == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize(
    ("variant", "shape", "classes", "on_paper"),
    # Fang et al. 2021, table 1, which publishes no counts: a 3×3 convolution without bias and its batch norm, the
    # flattened size behind the pools, two linear layers of which the second has ten neurons a class
    [
        ("mnist", (1, 28, 28), 10, conv(1, 128, 3) + conv(128, 128, 3) + (128 * 49 + 1) * 2048 + 2049 * 100),
        ("fashion_mnist", (1, 28, 28), 10, conv(1, 128, 3) + conv(128, 128, 3) + (128 * 49 + 1) * 2048 + 2049 * 100),
        ("nmnist", (2, 34, 34), 10, conv(2, 128, 3) + conv(128, 128, 3) + (128 * 64 + 1) * 2048 + 2049 * 100),
        ("cifar10", (3, 32, 32), 10, conv(3, 256, 3) + 5 * conv(256, 256, 3) + (256 * 64 + 1) * 2048 + 2049 * 100),
        ("cifar10_dvs", (2, 128, 128), 10, conv(2, 128, 3) + 3 * conv(128, 128, 3) + (128 * 64 + 1) * 512 + 513 * 100),
        ("dvs_gesture", (2, 128, 128), 11, conv(2, 128, 3) + 4 * conv(128, 128, 3) + (128 * 16 + 1) * 512 + 513 * 110),
    ],
)
def test_plif_net(variant: str, shape: tuple[int, ...], classes: int, on_paper: int) -> None:
    assert count(PLIFNet, classes, shape, variant=variant) == on_paper


def test_a_plif_net_without_biases() -> None:
    with_biases = count(PLIFNet, 10, (1, 28, 28))
    assert count(PLIFNet, 10, (1, 28, 28), fc_bias=False) == with_biases - 2048 - 100


@pytest.mark.parametrize(
    ("channels", "classes", "published"),
    # Fang et al. 2021, SEW ResNet, table of DVS Gesture and CIFAR10-DVS: 0.13 M and 1.19 M parameters
    [([32] * 7, 11, 0.13), ([64] * 4 + [128] * 3, 10, 1.19)],
)
def test_sew_net(channels: list[int], classes: int, published: float) -> None:
    blocks = sum(2 * conv(each, each, 3) for each in channels)
    projections = sum(conv(a, b, 1) for a, b in pairwise([2, *channels]) if a != b)
    found = count(SEWNet, classes, (2, 128, 128), channels=channels)
    assert found == blocks + projections + (channels[-1] + 1) * classes  # seven pools leave one of 128 pixels
    assert found / MILLION == pytest.approx(published, abs=0.005)


def test_resnet19() -> None:
    stages = [(64, 128, 3), (128, 256, 3), (256, 512, 2)]
    first = sum(conv(a, b, 3) + conv(b, b, 3) + conv(a, b, 1) for a, b, _ in stages)
    later = sum((blocks - 1) * 2 * conv(b, b, 3) for _, b, blocks in stages)
    found = count(ResNet19, 10, (3, 32, 32))
    assert found == conv(3, 64, 3) + first + later + 513 * 256 + 257 * 10
    # 12.63 M is what later papers print of it (Zhou et al. 2023, arXiv:2209.15425, table 2)
    assert found / MILLION == pytest.approx(12.63, abs=0.005)


@pytest.mark.parametrize(("size", "pixels"), [((2, 48, 48), None), ((2, 128, 128), 48)])
def test_vggsnn(size: tuple[int, ...], pixels: int | None) -> None:
    widths = [2, 64, 128, 256, 256, 512, 512, 512, 512]
    convolutions = sum(conv(a, b, 3, True) for a, b in pairwise(widths))
    found = count(VGGSNN, 10, size, pixels=pixels)
    assert found == convolutions + (512 * 3 * 3 + 1) * 10  # four pools leave 3 of 48 pixels
    # 9.27 M is what later papers print of it (Zhou et al. 2023, table 4)
    assert found / MILLION == pytest.approx(9.27, abs=0.005)
