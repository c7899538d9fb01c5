"""The networks of the parametric LIF neuron (Fang et al. 2021, arXiv:2007.05785, table 1), after SpikingJelly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.models.geometry import at_least, checked_image, one_of

VOTERS = 10


@dataclass(frozen=True)
class Plan:
    """``pools`` times [``convs`` convolutions of ``channels`` filters, pool], then a linear layer of ``units``."""

    channels: int
    convs: int
    pools: int
    units: int


PLANS = {
    "mnist": Plan(128, 1, 2, 2048),
    "fashion_mnist": Plan(128, 1, 2, 2048),
    "nmnist": Plan(128, 1, 2, 2048),
    "cifar10": Plan(256, 3, 2, 2048),
    "cifar10_dvs": Plan(128, 1, 4, 512),
    "dvs_gesture": Plan(128, 1, 5, 512),
}


class PLIFNet(nn.Module):
    """[N,C,H,W] or [T,N,C,H,W] → convolutions and pools → [dropout → linear → neuron] twice → vote → [N,K] or [T,N,K].

    ``variant`` names the data set of the paper's table; input channels, image size and classes are the data's. Ten
    neurons vote for a class: an output is their mean. A 2×2 pool to which one pixel comes is left out, so that every
    image size passes; at the size of the paper's data set none is. ``channels`` None is the paper's number of filters.
    Names are SpikingJelly's, but where a pool is left out.

    The paper's neuron is ``neuron=plif``. ``neuron`` builds a fresh one at every call. ConfigError for what cannot be
    built.
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
        dims: int | None = None,
    ) -> None:
        super().__init__()
        inputs, size = checked_image(input_shape, dims)
        at_least(1, classes=classes)
        one_of(PLANS, variant=variant)
        plan = PLANS[variant]
        filters = plan.channels if channels is None else channels
        at_least(1, channels=filters)
        pools = [2 ** (n + 1) <= min(size) for n in range(plan.pools)]
        flattened = filters * prod(length // 2 ** sum(pools) for length in size)
        self.conv_fc = nn.Sequential(
            *convolutions(inputs, filters, plan.convs, pools, neuron),
            layer.Flatten(),
            *voted(flattened, plan.units, classes, neuron),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] or [T,N,C,H,W] → [N,K] or [T,N,K]."""
        outputs: Tensor = self.conv_fc(x)
        return outputs


def convolutions(
    inputs: int, filters: int, convs: int, pools: Sequence[bool], neuron: Callable[[], nn.Module]
) -> Iterator[nn.Module]:
    """[…,C,H,W] → […,filters,H',W']: a group for each entry of ``pools``, which says whether its pool fits."""
    for pool in pools:
        for _ in range(convs):
            yield layer.Conv2d(inputs, filters, 3, padding=1, bias=False)
            yield layer.BatchNorm2d(filters)
            yield neuron()
            inputs = filters
        if pool:
            yield layer.MaxPool2d(2, 2)


def voted(inputs: int, units: int, classes: int, neuron: Callable[[], nn.Module]) -> Iterator[nn.Module]:
    """[…,inputs] → […,K]: two linear layers with neurons, and the mean of each class's voters."""
    for width, outputs in ((inputs, units), (units, VOTERS * classes)):
        yield layer.Dropout(0.5)
        yield layer.Linear(width, outputs)
        yield neuron()
    yield layer.VotingLayer(VOTERS)
