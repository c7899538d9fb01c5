"""Spikformer (Zhou et al. 2023, arXiv:2209.15425), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import spikformer
from torch import Tensor, nn

from membrane.models.geometry import (
    image_channels_and_size,
    require_at_least,
    require_heads_divide_widths,
    require_one_of,
    variant_for,
)
from membrane.models.own_time import OwnsTime

PATCH = {"imagenet": 16, "cifar": 4}


class Spikformer(OwnsTime, spikformer.Spikformer):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → patches → blocks of spiking self-attention → mean over positions → linear.

    Returns [N,K] or [T,N,K]. Pools are 3×3 with stride 2 and padding: every image size fits. The paper's Spikformer-L-D
    is ``depths=L embed_dims=D``. As in SpikingJelly, a stage of the patches pools before its neuron, where the authors'
    code pools after it, and no linear layer but the last has a bias.
    The paper's v_threshold = 0.5 for the neuron in the attention, and its τ = 2 with a detached reset, are not applied.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        embed_dims: channels D, a multiple of 8 and of ``num_heads``; 384 as in the paper's network for CIFAR.
        num_heads: of each attention; 12 as in the paper.
        depths: number of blocks L; 4 as in the paper's network for CIFAR.
        mlp_ratio: width of a block's hidden layer in units of D; 4 as in the paper.
        patch_size: pixels, 16 (four max pools, for ImageNet and event cameras of 128 pixels) or 4 (two, for CIFAR).
            None, the default, takes 16 from 64 pixels up.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        embed_dims: int = 384,
        num_heads: int = 12,
        depths: int = 4,
        mlp_ratio: float = 4.0,
        patch_size: int | None = None,
        dims: int | None = None,
    ) -> None:
        channels, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes, depths=depths)
        require_heads_divide_widths([embed_dims], [num_heads], embed_dims)
        require_one_of((4, 16, None), patch_size=patch_size)
        super().__init__(
            T=timesteps,
            in_channels=channels,
            img_size_h=size[0],
            img_size_w=size[1],
            patch_size=patch_size or PATCH[variant_for(size, stem=None)],
            num_classes=classes,
            embed_dims=embed_dims,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            depths=depths,
            spiking_neuron=lambda **_: neuron(),
        )

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """Classify [T,N,C,H,W] → [T,N,K]."""
        outputs: Tensor = self.head(self.forward_features(x_seq))
        return outputs
