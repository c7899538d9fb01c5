"""The spike-driven transformer (Yao et al. 2023, arXiv:2307.01694), after SpikingJelly."""

from collections.abc import Callable, Sequence

from spikingjelly.activation_based.model import spike_driven_transformer
from torch import Tensor, nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_heads_divide_widths, variant_for
from membrane.models.own_time import OwnsTime

POOLS = {"imagenet": "1111", "cifar": "0011"}
"""For each of the four stages of the patch embedding, 1 if it pools."""


class SpikeDrivenTransformer(OwnsTime, spike_driven_transformer.SpikeDrivenTransformer):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → patches → blocks of spike-driven attention → mean over positions → neuron → linear.

    Returns [N,K] or [T,N,K]. Shortcuts add inputs of neurons. Pools are 3×3 with stride 2 and padding: every image size
    fits. The paper's L-D is ``depths=L embed_dims=D``.
    The paper's v_threshold = 0.5 for the neuron in the attention, and its τ = 2 with a detached reset, are not applied.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        embed_dims: channels D, a multiple of 8 and of ``num_heads``; 384 as in the paper's 8-384.
        num_heads: of each attention; 8 as in the paper.
        depths: number of blocks L; 8 as in the paper's 8-384.
        mlp_ratio: width of a block's hidden layer in units of D; 4 as in the paper.
        stem: ``imagenet`` pools in all four stages of the patch embedding, ``cifar`` in the last two. None, the
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
        num_heads: int = 8,
        depths: int = 8,
        mlp_ratio: float = 4.0,
        stem: str | None = None,
        dims: int | None = None,
    ) -> None:
        channels, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes, depths=depths)
        require_heads_divide_widths([embed_dims], [num_heads], embed_dims)
        super().__init__(
            T=timesteps,
            in_channels=channels,
            num_classes=classes,
            embed_dims=embed_dims,
            num_heads=num_heads,
            depths=depths,
            mlp_ratio=mlp_ratio,
            pooling_stat=POOLS[variant_for(size, stem=stem)],
            spiking_neuron=lambda **_: neuron(),
        )

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """Classify [T,N,C,H,W] → [T,N,K]."""
        x_seq = self.patch_embed(x_seq)
        for block in self.blocks:
            x_seq = block(x_seq)
        outputs: Tensor = self.head(self.head_lif(x_seq.flatten(3).mean(-1)))
        return outputs
