"""The peers: membrane, the same nets by hand in other libraries, and the floor. Without torch until one is built."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from membrane.bench.workloads import Workload

if TYPE_CHECKING:
    import torch

    from membrane.bench.peers.net import Net

PEER_PACKAGE = "membrane.bench.peers"


@dataclass(frozen=True)
class Peer:
    """One way to build a workload's net.

    Arguments:
        name: as in tables.
        role: ``ours``, ``peer`` or ``floor``.
        module: of this package, in which the net is built.
        builder: its function (workload, device) → net.
        library: the package that must be installed.
        precisions: those it is timed at.
        devices: the kinds of device it is timed on.
    """

    name: str
    role: str
    module: str
    builder: str
    library: str
    precisions: tuple[str, ...] = ("fp32",)
    devices: tuple[str, ...] = ("cpu", "cuda")

    def is_installed(self) -> bool:
        """Return whether its library is installed."""
        return find_spec(self.library) is not None

    def build(self, workload: Workload, device: "torch.device") -> "Net":
        """Build the workload's net on the CPU, its weights drawn from torch's generator."""
        builder: Callable[[Workload, torch.device], Net] = getattr(
            import_module(f"{PEER_PACKAGE}.{self.module}"), self.builder
        )
        return builder(workload, device)

    def has_channels_last(self, workload: Workload) -> bool:
        """Return whether it has channels last: torch has them for images, membrane and the floor for signals too."""
        return bool(workload.filters) and (workload.planar or self.role != "peer")

    def note(self, neuron: str) -> str | None:
        """Return how its nets with this neuron differ from ours; None if they do not."""
        notes: dict[str, str] | None = getattr(import_module(f"{PEER_PACKAGE}.{self.module}"), "NOTES", None)
        return (notes or {}).get(neuron)


CHANNELS_LAST = "fp32 channels last"
ALL = ("fp32", CHANNELS_LAST, "bf16")
PEERS = (
    Peer("membrane multistep", "ours", "ours", "membrane_multistep", "torch", ALL),
    Peer("membrane singlestep", "ours", "ours", "membrane_singlestep", "torch", ALL),
    Peer("membrane compiled", "ours", "ours", "membrane_compiled", "torch", ("bf16",), ("cuda",)),
    Peer("SpikingJelly multi-step", "peer", "spikingjelly_by_hand", "spikingjelly_multistep", "spikingjelly", ALL),
    Peer("SpikingJelly single-step", "peer", "spikingjelly_by_hand", "spikingjelly_singlestep", "spikingjelly"),
    Peer("snnTorch", "peer", "snntorch_by_hand", "snntorch_net", "snntorch"),
    Peer("Norse", "peer", "norse_by_hand", "norse_net", "norse"),
    Peer("ReLU on T·N images", "floor", "relu_floor", "relu_net", "torch", ALL),
)
RECOMPUTED = (
    Peer("membrane singlestep, recomputed", "ours", "ours", "recomputed_singlestep", "torch"),
    Peer("membrane multistep, recomputed", "ours", "ours", "recomputed_multistep", "torch"),
)
"""The peers that `membrane.bench.recomputation` compares with those of the same names."""
