"""The spike-driven transformer (Yao et al. 2023, arXiv:2307.01694), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import spike_driven_transformer
from torch import Tensor, nn

from membrane.models.geometry import at_least, attention_fits, checked_image, for_size
from membrane.models.own_time import OwnsTime

POOLS = {"imagenet": "1111", "cifar": "0011"}
"""Which of the four stages of the patch embedding are pooled."""


class SpikeDrivenTransformer(OwnsTime, spike_driven_transformer.SpikeDrivenTransformer):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → patches → blocks of spike-driven attention → mean over positions → neuron → linear.

    Returns [N,K] or [T,N,K]. Shortcuts add inputs of neurons. ``stem=imagenet`` pools in all four stages of the patch
    embedding, ``cifar`` in the last two; None takes the first from 64 pixels up. Pools are 3×3 with stride 2 and
    padding: every image size passes. The paper's L-D is ``depths=L embed_dims=D``.

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
        num_heads: int = 8,
        depths: int = 8,
        mlp_ratio: float = 4.0,
        stem: str | None = None,
        dims: int | None = None,
    ) -> None:
        channels, size = checked_image(input_shape, dims)
        at_least(1, classes=classes, depths=depths)
        attention_fits([embed_dims], [num_heads], embed_dims)
        super().__init__(
            T=timesteps,
            in_channels=channels,
            num_classes=classes,
            embed_dims=embed_dims,
            num_heads=num_heads,
            depths=depths,
            mlp_ratio=mlp_ratio,
            pooling_stat=POOLS[for_size(size, stem=stem)],
            spiking_neuron=lambda **_: neuron(),
        )

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """[T,N,C,H,W] → [T,N,K]."""
        x_seq = self.patch_embed(x_seq)
        for block in self.blocks:
            x_seq = block(x_seq)
        outputs: Tensor = self.head(self.head_lif(x_seq.flatten(3).mean(-1)))
        return outputs
