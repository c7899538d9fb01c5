"""Who is timed: membrane, the same nets by hand in other libraries, and the floor. Without torch until one is built."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from membrane.bench.workloads import Workload

if TYPE_CHECKING:
    import torch

    from membrane.bench.peers.net import Net

HOME = "membrane.bench.peers"


@dataclass(frozen=True)
class Peer:
    """One way to build a workload's net: ``home`` is the module whose ``builder`` does, ``library`` what it needs.

    ``role`` is ``ours``, ``peer`` or ``floor``; ``devices`` are the kinds it is timed on.
    """

    name: str
    role: str
    home: str
    builder: str
    library: str
    precisions: tuple[str, ...] = ("fp32",)
    devices: tuple[str, ...] = ("cpu", "cuda")

    def there(self) -> bool:
        """Whether its library is installed."""
        return find_spec(self.library) is not None

    def build(self, workload: Workload, device: "torch.device") -> "Net":
        """The workload's net, on the CPU, its weights drawn from torch's generator."""
        builder: Callable[[Workload, torch.device], Net] = getattr(import_module(f"{HOME}.{self.home}"), self.builder)
        return builder(workload, device)

    def lies_last(self, workload: Workload) -> bool:
        """Whether its channels can lie last: torch has that layout for images, we give signals one, and the floor's."""
        return bool(workload.filters) and (workload.planar or self.role != "peer")

    def note(self, neuron: str) -> str | None:
        """What a reader should know of it, for nets of this kind of neuron."""
        notes: dict[str, str] | None = getattr(import_module(f"{HOME}.{self.home}"), "NOTES", None)
        return (notes or {}).get(neuron)


CHANNELS_LAST = "fp32 channels last"
ALL = ("fp32", CHANNELS_LAST, "bf16")
PEERS = (
    Peer("membrane multistep", "ours", "ours", "multistep", "torch", ALL),
    Peer("membrane singlestep", "ours", "ours", "singlestep", "torch"),
    Peer("membrane compiled", "ours", "ours", "compiled", "torch", ("bf16",), ("cuda",)),
    Peer("SpikingJelly multi-step", "peer", "spikingjelly_by_hand", "multistep", "spikingjelly", ALL),
    Peer("SpikingJelly single-step", "peer", "spikingjelly_by_hand", "singlestep", "spikingjelly"),
    Peer("snnTorch", "peer", "snntorch_by_hand", "stepwise", "snntorch"),
    Peer("Norse", "peer", "norse_by_hand", "stepwise", "norse"),
    Peer("ReLU on T·N images", "floor", "relu_floor", "merged", "torch", ALL),
)
