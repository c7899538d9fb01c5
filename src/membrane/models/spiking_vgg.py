"""VGG with spiking neurons (Simonyan, Zisserman 2015, arXiv:1409.1556), after SpikingJelly."""

from collections.abc import Callable, Iterator, Sequence

from spikingjelly.activation_based import layer
from spikingjelly.activation_based.model import spiking_vgg
from torch import nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_one_of, variant_for

PLANS = {depth: spiking_vgg.cfgs[letter] for depth, letter in {11: "A", 13: "B", 16: "D", 19: "E"}.items()}
"""Depth → filters of each convolution, "M" for a pool: the columns of the paper's table 1."""


class SpikingVGG(spiking_vgg.SpikingVGG):  # type: ignore[misc]
    """[N,C,H,W] or [T,N,C,H,W] → [conv → batch norm → neuron] and pools → head → [N,K] or [T,N,K].

    A pool whose input is one pixel is left out, so that images below 32×32 fit; larger ones meet every pool of the
    paper. Names and initial weights are torchvision's, whose checkpoints load if the shapes are equal.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        depth: number of layers with weights: 11, 13, 16 or 19.
        norm: ``batch``, the default, or ``none`` as in the paper.
        head: ``imagenet`` is the paper's: average pool to 7×7 → two layers of 4096 with dropout → linear. ``cifar`` is
            global average pool → linear, as usual on 32×32, where the five pools leave one pixel. None, the default,
            takes the first from 64 pixels up.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        depth: int = 11,
        norm: str = "batch",
        head: str | None = None,
        dims: int | None = None,
    ) -> None:
        # SpikingJelly's constructor builds for three input channels and the large head only; forward is inherited
        nn.Module.__init__(self)
        channels, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        require_one_of(PLANS, depth=depth)
        require_one_of(("batch", "none"), norm=norm)
        large = variant_for(size, head=head) == "imagenet"
        self.features = nn.Sequential(*feature_layers(PLANS[depth], channels, min(size), norm == "batch", neuron))
        self.avgpool = layer.AdaptiveAvgPool2d((7, 7) if large else (1, 1))
        self.classifier = nn.Sequential(*(large_head(classes, neuron) if large else [layer.Linear(512, classes)]))
        self._initialize_weights()  # private to SpikingJelly 2.0.0: its constructor, not called, would do so


def feature_layers(
    plan: Sequence[int | str], channels: int, size: int, batch_norm: bool, neuron: Callable[[], nn.Module]
) -> Iterator[nn.Module]:
    """Yield the layers […,C,H,W] → […,512,H',W']; ``size`` is the shorter side."""
    for filters in plan:
        if isinstance(filters, int):
            yield layer.Conv2d(channels, filters, 3, padding=1)
            if batch_norm:
                yield layer.BatchNorm2d(filters)
            yield neuron()
            channels = filters
        elif size > 1:
            yield layer.MaxPool2d(2, 2)
            size //= 2


def large_head(classes: int, neuron: Callable[[], nn.Module]) -> Iterator[nn.Module]:
    """Yield the layers […,512·7·7] → […,K]: the paper's three linear layers."""
    for inputs in (512 * 7 * 7, 4096):
        yield layer.Linear(inputs, 4096)
        yield neuron()
        yield layer.Dropout()
    yield layer.Linear(4096, classes)
