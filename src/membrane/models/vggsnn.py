"""VGGSNN, the network of the papers on CIFAR10-DVS (Deng et al. 2022, arXiv:2202.11946)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from spikingjelly.activation_based import layer
from torch import nn

from membrane.models.geometry import image_channels_and_size, require_at_least
from membrane.models.scnn import SCNN

MULTIPLES = (1, 2, 4, 4, 8, 8, 8, 8)
"""Filters of each convolution in multiples of the first one's."""


class VGGSNN(nn.Sequential):
    """[N,C,H,W] or [T,N,C,H,W] → eight convolutions with an average pool behind every second → linear → [N,K], [T,N,K].

    Convolutions are 3×3 with a bias, the norm and the neuron behind them; weights start from N(0, 2/(9·filters)). A
    pool whose input is one pixel is left out; the paper's frames have 48×48 pixels, of which 3×3 are left.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        channels: filters of the first convolution, from which all widths follow; 64, the default, is the paper's.
        pixels: a side of the frames, to which they are averaged first; None, the default, leaves their size.
        norm: one of `norms`; ``batch``, the default, is the paper's.
        dropout: probability before the linear layer; 0, the default, is no module.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        channels: int = 64,
        pixels: int | None = None,
        norm: str = "batch",
        dropout: float = 0.0,
        dims: int | None = None,
    ) -> None:
        inputs, size = image_channels_and_size(input_shape, dims)
        if pixels is not None:
            size = [pixels, pixels]
        require_at_least(1, channels=channels, pixels=min(size))
        pools = [2 if 2 ** (n + 1) <= min(size) else 1 for n in range(len(MULTIPLES) // 2)]
        network = SCNN(
            input_shape=[inputs, *size],
            classes=classes,
            timesteps=timesteps,
            neuron=neuron,
            filters=[multiple * channels for multiple in MULTIPLES],
            conv_bias=True,
            norm=norm,
            pool="avg",
            pool_sizes=[extent for pool in pools for extent in (1, pool)],
            head_dropout=dropout,
        )
        resize = {} if pixels is None else {"resize": layer.AdaptiveAvgPool2d((pixels, pixels))}
        super().__init__(OrderedDict({**resize, **dict(network.named_children())}))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
