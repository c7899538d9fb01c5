"""The spike-element-wise ResNet (Fang et al. 2021, arXiv:2102.04159), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import sew_resnet
from torch import nn

from membrane.models.geometry import at_least, checked_image, for_size, one_of
from membrane.models.stem import make_stem

PLANS = {
    18: (sew_resnet.BasicBlock, [2, 2, 2, 2]),
    34: (sew_resnet.BasicBlock, [3, 4, 6, 3]),
    50: (sew_resnet.Bottleneck, [3, 4, 6, 3]),
    101: (sew_resnet.Bottleneck, [3, 4, 23, 3]),
    152: (sew_resnet.Bottleneck, [3, 8, 36, 3]),
}
"""Depth → block, number of blocks in each of the four stages."""


class SEWResNet(sew_resnet.SEWResNet):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → stem → four stages of blocks → global average pool → linear → [N,K] or [T,N,K].

    A block joins the spikes of its main path, A, with those of its shortcut, S, element by element: ``cnf=ADD`` is
    A + S, AND is A · S, IAND is (1 − A) · S (the paper's table 1). In SpikingJelly's bottleneck blocks, from depth 50
    up, IAND is A · (1 − S). With ADD outputs are 0, 1, 2 … ``stem`` is that of ``spiking_resnet``, whose parameters
    these are, and every image size passes.

    ``neuron`` builds a fresh neuron at every call. ConfigError for what cannot be built.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        depth: int = 18,
        cnf: str = "ADD",
        stem: str | None = None,
        dims: int | None = None,
    ) -> None:
        channels, size = checked_image(input_shape, dims)
        at_least(1, classes=classes)
        one_of(PLANS, depth=depth)
        one_of(("ADD", "AND", "IAND"), cnf=cnf)
        kind = for_size(size, stem=stem)
        super().__init__(*PLANS[depth], num_classes=classes, cnf=cnf, spiking_neuron=neuron)
        self.conv1, self.maxpool = make_stem(channels, kind)
