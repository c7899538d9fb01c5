"""The membrane-shortcut ResNet (Hu et al. 2021, arXiv:2112.08954), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import ms_resnet
from torch import Tensor, nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_one_of, variant_for
from membrane.models.own_time import OwnsTime
from membrane.models.resnet import STAGES

DEPTHS = (18, 34)


class MSResNet(OwnsTime, ms_resnet.MSResNet):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → stem → four stages → neuron → global average pool → linear → [N,K] or [T,N,K].

    A block is [neuron → conv → batch norm] twice; its shortcut adds the inputs of neurons, which are not spikes. Every
    image size fits. SpikingJelly's own neuron for this model (LIF with τ = 4/3, v_threshold = 0.5, decay_input = False,
    detached reset, a rectangular surrogate) is left to the configuration.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        depth: number of layers with weights: 18 or 34.
        channels: of the first stage, 64 as in the paper; each further stage has twice as many.
        stem: ``imagenet`` divides the image by four, with a 7×7 of stride 2 and a first stage of stride 2. ``cifar``
            keeps its size, with a 3×3 and a first stage of stride 1. None, the default, takes the first from 64 pixels
            up.
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
        inputs, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes, channels=channels)
        require_one_of(DEPTHS, depth=depth)
        large = variant_for(size, stem=stem) == "imagenet"
        # private to SpikingJelly 2.0.0: its constructor has no argument for the stride of the first stage
        self._first_stage_stride = 2 if large else 1
        super().__init__(
            T=timesteps,
            in_channels=inputs,
            num_classes=classes,
            layers=STAGES[depth],
            base_channels=channels,
            stem_kernel_size=7 if large else 3,
            stem_stride=2 if large else 1,
            spiking_neuron=lambda **_: neuron(),
        )

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """Classify [T,N,C,H,W] → [T,N,K]."""
        x_seq = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x_seq)))))
        outputs: Tensor = self.head(self.avgpool(self.head_lif(x_seq)).flatten(2))
        return outputs
