"""Spikformer (Zhou et al. 2023, arXiv:2209.15425), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import spikformer
from torch import Tensor, nn

from membrane.models.geometry import at_least, attention_fits, checked_image, for_size, one_of
from membrane.models.own_time import OwnsTime

PATCH = {"imagenet": 16, "cifar": 4}


class Spikformer(OwnsTime, spikformer.Spikformer):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → patches → blocks of spiking self-attention → mean over positions → linear.

    Returns [N,K] or [T,N,K]. ``patch_size`` is 16 (four max pools, for ImageNet and event cameras of 128 pixels) or 4
    (two, for CIFAR); None takes 16 from 64 pixels up. Pools are 3×3 with stride 2 and padding: every image size
    passes. The paper's Spikformer-L-D is ``depths=L embed_dims=D``; as in SpikingJelly, a stage of the patches pools
    before its neuron, where the authors' code pools after it, and no linear layer but the last has a bias.

    ``neuron`` builds a fresh neuron at every call. It is used everywhere as it is: the paper's v_threshold = 0.5 of the
    neuron in the attention, and τ = 2 with a detached reset, are not applied. ConfigError for what cannot be built.
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
        channels, size = checked_image(input_shape, dims)
        at_least(1, classes=classes, depths=depths)
        attention_fits([embed_dims], [num_heads], embed_dims)
        one_of((4, 16, None), patch_size=patch_size)
        super().__init__(
            T=timesteps,
            in_channels=channels,
            img_size_h=size[0],
            img_size_w=size[1],
            patch_size=patch_size or PATCH[for_size(size, stem=None)],
            num_classes=classes,
            embed_dims=embed_dims,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            depths=depths,
            spiking_neuron=lambda **_: neuron(),
        )

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """[T,N,C,H,W] → [T,N,K]."""
        outputs: Tensor = self.head(self.forward_features(x_seq))
        return outputs
