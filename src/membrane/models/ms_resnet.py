"""The membrane-shortcut ResNet (Hu et al. 2021, arXiv:2112.08954), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import ms_resnet
from torch import Tensor, nn

from membrane.models.geometry import at_least, checked_image, for_size, one_of
from membrane.models.own_time import OwnsTime

PLANS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Depth → number of blocks in each of the four stages."""


class MSResNet(OwnsTime, ms_resnet.MSResNet):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → stem → four stages → neuron → global average pool → linear → [N,K] or [T,N,K].

    A block is [neuron → conv → batch norm] twice, and its shortcut adds what is no spike: inputs of neurons.
    ``stem=imagenet`` divides the image by four, 7×7 with stride 2 and a first stage with stride 2; ``cifar`` is a 3×3
    convolution and a first stage that keep the size. None takes the first from 64 pixels up; every image size passes.
    The first stage has ``channels``, each further one twice as many.

    ``neuron`` builds a fresh neuron at every call. It is used everywhere as it is: SpikingJelly's own choice for this
    model (LIF with τ = 4/3, v_threshold = 0.5, decay_input = False, detached reset, a rectangular surrogate) is the
    configuration's to make. ConfigError for what cannot be built.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        depth: int = 18,
        channels: int = 64,
        stem: str | None = None,
        dims: int | None = None,
    ) -> None:
        inputs, size = checked_image(input_shape, dims)
        at_least(1, classes=classes, channels=channels)
        one_of(PLANS, depth=depth)
        large = for_size(size, stem=stem) == "imagenet"
        self._first_stage_stride = 2 if large else 1
        super().__init__(
            T=timesteps,
            in_channels=inputs,
            num_classes=classes,
            layers=PLANS[depth],
            base_channels=channels,
            stem_kernel_size=7 if large else 3,
            stem_stride=2 if large else 1,
            spiking_neuron=lambda **_: neuron(),
        )

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """[T,N,C,H,W] → [T,N,K]."""
        x_seq = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x_seq)))))
        outputs: Tensor = self.head(self.avgpool(self.head_lif(x_seq)).flatten(2))
        return outputs
