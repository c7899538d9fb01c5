"""The spike-element-wise ResNet (Fang et al. 2021, arXiv:2102.04159), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import sew_resnet
from torch import nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_one_of, variant_for
from membrane.models.resnet import BOTTLENECK, STAGES, make_stem


class SEWResNet(sew_resnet.SEWResNet):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → stem → four stages of blocks → global average pool → linear → [N,K] or [T,N,K].

    A block joins the spikes of its main path, A, with those of its shortcut, S, element by element. Parameters have the
    names and shapes of `spiking_resnet`, and every image size fits.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        depth: number of layers with weights: 18, 34, 50, 101 or 152.
        cnf: ADD is A + S, AND is A · S, IAND is (1 − A) · S (the paper's table 1). In SpikingJelly's bottleneck blocks,
            from depth 50 up, IAND is A · (1 − S). With ADD, the default as in the paper, outputs are 0, 1, 2 …
        stem: ``imagenet`` or ``cifar`` as in `spiking_resnet`. None, the default, takes the first from 64 pixels up.
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
        channels, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        require_one_of(STAGES, depth=depth)
        require_one_of(("ADD", "AND", "IAND"), cnf=cnf)
        stem = variant_for(size, stem=stem)
        block = sew_resnet.Bottleneck if depth >= BOTTLENECK else sew_resnet.BasicBlock
        super().__init__(block, STAGES[depth], num_classes=classes, cnf=cnf, spiking_neuron=neuron)
        self.conv1, self.maxpool = make_stem(channels, stem)
