"""QKFormer (Zhou et al. 2024, arXiv:2403.16552), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based import functional, layer
from spikingjelly.activation_based.model import qkformer
from torch import Tensor, nn

from membrane.models.geometry import (
    image_channels_and_size,
    require_at_least,
    require_one_of,
    require_three_stages,
    variant_for,
)
from membrane.models.own_time import OwnsTime


class QKFormer(OwnsTime, qkformer.QKFormer):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → three stages of patch embedding and blocks → mean over positions → linear.

    Returns [N,K] or [T,N,K]. The stages have D/4, D/2 and D channels. The blocks of the first two attend by Q and K
    alone, those of the third by spiking self-attention. Stages two and three halve the image, and every size fits.
    The paper's v_threshold = 0.5 for the neuron in the attention, and its τ = 2 with a detached reset, are not applied.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        embed_dims: channels D of the last stage, a multiple of 8; 384 as in the paper's smallest network for ImageNet.
        num_heads: of each stage's attention; each divides its stage's channels.
        depths: number of blocks of each stage; (1, 2, 7) as in the paper's networks for ImageNet.
        mlp_ratio: width of a block's hidden layer in units of its channels; 4 as in the paper.
        qka_type: the first two stages attend over the ``token`` (the default) or the ``channel`` axis.
        stem: ``imagenet`` divides the image by four before the first stage, ``cifar`` keeps its size. None, the
            default, takes the first from 64 pixels up.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        embed_dims: int = 384,
        num_heads: Sequence[int] = (6, 6, 6),
        depths: Sequence[int] = (1, 2, 7),
        mlp_ratio: float = 4.0,
        qka_type: str = "token",
        stem: str | None = None,
        dims: int | None = None,
    ) -> None:
        channels, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        require_three_stages(embed_dims, num_heads, depths)
        require_one_of(("token", "channel"), qka_type=qka_type)
        stem = variant_for(size, stem=stem)
        super().__init__(
            T=timesteps,
            in_channels=channels,
            num_classes=classes,
            embed_dims=embed_dims,
            num_heads=tuple(num_heads),
            depths=tuple(depths),
            mlp_ratio=mlp_ratio,
            qka_type=qka_type,
            spiking_neuron=lambda **_: neuron(),
        )
        if stem == "cifar":
            self.patch_embed1 = CIFARStem(channels, embed_dims // 4, neuron)

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """Classify [T,N,C,H,W] → [T,N,K]."""
        stages = (self.patch_embed1, *self.stage1, self.patch_embed2, *self.stage2, self.patch_embed3, *self.stage3)
        for stage in stages:
            x_seq = stage(x_seq)
        outputs: Tensor = self.head(x_seq.flatten(3).mean(-1))
        return outputs


class CIFARStem(nn.Module):
    """[T,N,C,H,W] → [T,N,D,H,W]: conv → conv beside a 1×1 shortcut, without a pool and without biases.

    The patch embedding of the paper's networks for CIFAR; SpikingJelly has only the one for ImageNet.
    """

    def __init__(self, channels: int, features: int, neuron: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.first = spiking_convolution(channels, features // 2, 3, neuron)
        self.second = spiking_convolution(features // 2, features, 3, neuron)
        self.shortcut = spiking_convolution(features // 2, features, 1, neuron)

    def forward(self, x_seq: Tensor) -> Tensor:
        """Embed [T,N,C,H,W] → [T,N,D,H,W]."""
        first = self.first(x_seq)
        outputs: Tensor = self.second(first) + self.shortcut(first)
        return outputs


def spiking_convolution(inputs: int, filters: int, kernel: int, neuron: Callable[[], nn.Module]) -> nn.Sequential:
    """Build conv → batch norm → neuron in step mode 'm', [T,N,C,H,W] → [T,N,filters,H,W]."""
    conv = layer.Conv2d(inputs, filters, kernel, padding=kernel // 2, bias=False)
    module = nn.Sequential(conv, layer.BatchNorm2d(filters), neuron())
    functional.set_step_mode(module, "m")
    return module
