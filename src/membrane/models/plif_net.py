"""The networks of the parametric LIF neuron (Fang et al. 2021, arXiv:2007.05785, table 1), after SpikingJelly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_one_of

VOTERS = 10  # neurons for each class


@dataclass(frozen=True)
class Variant:
    """``pools`` times [``convs`` convolutions with ``channels`` filters, pool], then a linear layer of ``units``."""

    channels: int
    convs: int
    pools: int
    units: int


VARIANTS = {
    "mnist": Variant(128, 1, 2, 2048),
    "fashion_mnist": Variant(128, 1, 2, 2048),
    "nmnist": Variant(128, 1, 2, 2048),
    "cifar10": Variant(256, 3, 2, 2048),
    "cifar10_dvs": Variant(128, 1, 4, 512),
    "dvs_gesture": Variant(128, 1, 5, 512),
}


class PLIFNet(nn.Module):
    """[N,C,H,W] or [T,N,C,H,W] → convolutions and pools → [dropout → linear → neuron] twice → vote → [N,K] or [T,N,K].

    Ten neurons vote for each class: an output is their mean. A 2×2 pool whose input is one pixel is left out, so that
    every image size fits; at the size of the paper's data sets none is. Names are SpikingJelly's unless a pool is left
    out. The paper's neuron is ``neuron=plif``.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        variant: data set of the paper whose layers to take; channels, image size and classes are those of the data.
        channels: filters of each convolution. None, the default, is the paper's number.
        fc_bias: of both linear layers; on by default, as in SpikingJelly. The paper's code has none.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        variant: str = "mnist",
        channels: int | None = None,
        fc_bias: bool = True,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        inputs, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        require_one_of(VARIANTS, variant=variant)
        network = VARIANTS[variant]
        filters = network.channels if channels is None else channels
        require_at_least(1, channels=filters)
        pools = [2 ** (n + 1) <= min(size) for n in range(network.pools)]
        flattened = filters * prod(length // 2 ** sum(pools) for length in size)
        self.conv_fc = nn.Sequential(
            *convolution_groups(inputs, filters, network.convs, pools, neuron),
            layer.Flatten(),
            *voting_head(flattened, network.units, classes, neuron, fc_bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Classify [N,C,H,W] or [T,N,C,H,W] → [N,K] or [T,N,K]."""
        outputs: Tensor = self.conv_fc(x)
        return outputs


def convolution_groups(
    inputs: int, filters: int, convs: int, pools: Sequence[bool], neuron: Callable[[], nn.Module]
) -> Iterator[nn.Module]:
    """Yield the layers […,C,H,W] → […,filters,H',W']: a group for each of ``pools``, true if its pool fits."""
    for pool in pools:
        for _ in range(convs):
            yield layer.Conv2d(inputs, filters, 3, padding=1, bias=False)
            yield layer.BatchNorm2d(filters)
            yield neuron()
            inputs = filters
        if pool:
            yield layer.MaxPool2d(2, 2)


def voting_head(
    inputs: int, units: int, classes: int, neuron: Callable[[], nn.Module], bias: bool
) -> Iterator[nn.Module]:
    """Yield the layers […,inputs] → […,K]: two linear layers with neurons, and the mean of each class's voters."""
    for width, outputs in ((inputs, units), (units, VOTERS * classes)):
        yield layer.Dropout(0.5)
        yield layer.Linear(width, outputs, bias)
        yield neuron()
    yield layer.VotingLayer(VOTERS)
