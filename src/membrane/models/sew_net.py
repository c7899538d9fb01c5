"""The spike-element-wise networks for event cameras, 7B-Net and Wide-7B-Net (Fang et al. 2021, arXiv:2102.04159)."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from math import prod

from spikingjelly.activation_based import layer
from torch import Tensor, nn

from membrane.models.geometry import image_channels_and_size, require_at_least, require_one_of


class Connect(nn.Module):
    """Spikes of a block's main path and of its shortcut, […] each → […], joined element by element."""

    def __init__(self, cnf: str) -> None:
        super().__init__()
        require_one_of(("ADD", "AND", "IAND"), cnf=cnf)
        self.cnf = cnf

    def forward(self, main: Tensor, shortcut: Tensor) -> Tensor:
        """Join […] and […] → […]."""
        if self.cnf == "ADD":
            return main + shortcut
        return main * shortcut if self.cnf == "AND" else (1 - main) * shortcut

    def extra_repr(self) -> str:
        """Return the text between the parentheses in a printed model."""
        return f"cnf={self.cnf}"


class SEWBlock(nn.Module):
    """[…,C,H,W] → [3×3 conv → batch norm → neuron] twice, joined with the input → […,C,H,W]."""

    def __init__(self, channels: int, neuron: Callable[[], nn.Module], cnf: str) -> None:
        super().__init__()
        layers = (conv_layer(channels, channels, 3, neuron, str(n)) for n in (1, 2))
        self.main = nn.Sequential(OrderedDict(entry for each in layers for entry in each))
        self.connect = Connect(cnf)

    def forward(self, x: Tensor) -> Tensor:
        """Join main path and input of […,C,H,W] → […,C,H,W]."""
        joined: Tensor = self.connect(self.main(x), x)
        return joined


class SEWNet(nn.Sequential):
    """[N,C,H,W] or [T,N,C,H,W] → stages → flatten → linear → [N,K] or [T,N,K].

    A stage is 1×1 conv → batch norm → neuron where the channels change, then a `SEWBlock` and a 2×2 max pool. A pool
    whose input is one pixel is left out: the paper's frames have 128×128 pixels, of which seven pools leave one.

    Arguments (`membrane.models` explains ``input_shape``, ``classes``, ``timesteps``, ``neuron`` and ``dims``):
        channels: of each stage; seven of 32, the default, are 7B-Net, four of 64 and three of 128 Wide-7B-Net.
        cnf: ADD, AND or IAND, as in `sew_resnet`; ADD by default.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        timesteps: int,
        neuron: Callable[[], nn.Module],
        channels: Sequence[int] = (32,) * 7,
        cnf: str = "ADD",
        dims: int | None = None,
    ) -> None:
        inputs, size = image_channels_and_size(input_shape, dims)
        require_at_least(1, classes=classes)
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for number, width in enumerate(channels, start=1):
            require_at_least(1, channels=width)
            if width != inputs:
                modules.update(conv_layer(inputs, width, 1, neuron, str(number)))
            modules[f"block{number}"] = SEWBlock(width, neuron, cnf)
            if 2**number <= min(input_shape[1:]):
                modules[f"pool{number}"] = layer.MaxPool2d(2, 2)
                size = [length // 2 for length in size]
            inputs = width
        modules["flatten"] = layer.Flatten()
        modules["head"] = layer.Linear(inputs * prod(size), classes)
        super().__init__(modules)


def conv_layer(
    inputs: int, outputs: int, kernel: int, neuron: Callable[[], nn.Module], number: str
) -> Iterator[tuple[str, nn.Module]]:
    """Yield conv without bias → batch norm → neuron by name, […,C,H,W] → […,outputs,H,W]."""
    yield f"conv{number}", layer.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    yield f"norm{number}", layer.BatchNorm2d(outputs)
    yield f"neuron{number}", neuron()
