"""The workloads that are timed: nets, inputs and batches, the same for every peer. Without torch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

SWEPT: dict[str, tuple[float, ...]] = {
    "timesteps": (1, 2, 4, 8, 16, 32, 64),
    "batch": (0.25, 0.5, 1, 2, 4),
    "width": (0.25, 0.5, 1, 2),
}
"""Axis over which a workload can be swept → values of T, factors of its batch or its width."""
CHUNK = 8
"""Timesteps of a chunk where a net recomputes."""
CUDA_TIMESTEPS, CUDA_BATCH = (4, 16), 256
IMAGE = 3  # axes of [C,H,W]
FEWEST = 2
"""Samples that a batch has at least: batch norm needs more than one."""


@dataclass(frozen=True)
class Workload:
    """A net, its input and its batch. Without ``classes`` it is one neuron layer alone, whose current is the input.

    Arguments:
        name: W1 to W4, or ``neuron``.
        title: the net in one line.
        shape: of an input, [C,S] or [C,H,W].
        classes: outputs of the linear head; 0 for a neuron layer alone.
        neuron: ``if`` with soft reset, or ``lif`` with hard reset.
        timesteps: T.
        batch: samples N.
        filters: of each convolutional layer: conv (kernel 3, padding 1) → batch norm → neuron → max pool.
        pools: kernel and stride of each layer's pool; 1 is none.
        stride: of all convolutions.
        units: of each linear layer: linear → neuron.
        in_data: whether the input has timesteps of its own.
        width: factor by which filters and units were widened.
    """

    name: str
    title: str
    shape: tuple[int, ...]
    classes: int
    neuron: str
    timesteps: int
    batch: int
    filters: tuple[int, ...] = ()
    pools: tuple[int, ...] = ()
    stride: int = 1
    units: tuple[int, ...] = ()
    in_data: bool = False
    width: float = 1.0

    @property
    def planar(self) -> bool:
        """Return whether inputs are images."""
        return len(self.shape) == IMAGE

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape [N,…] or [N,T,…] of a batch."""
        return (self.batch, *([self.timesteps] if self.in_data else []), *self.shape)

    @property
    def setting(self) -> str:
        """Return ``T 4, batch 32``."""
        setting = f"T {self.timesteps}, batch {self.batch}"
        return setting if self.width == 1 else f"{setting}, width ×{self.width:g}"

    def features(self) -> int:
        """Return the number of features that the convolutional layers leave, flattened."""
        channels, *size = self.shape
        for filters, pool in zip(self.filters, self.pools, strict=True):
            channels, size = filters, [((length - 1) // self.stride + 1) // pool for length in size]
        return channels * prod(size)

    def widened(self, factor: float) -> "Workload":
        """Return the workload with so many times the filters and units, and one at least."""
        if not (self.filters or self.units):
            return self
        filters, units = (tuple(max(1, round(n * factor)) for n in sizes) for sizes in (self.filters, self.units))
        return replace(self, width=self.width * factor, filters=filters, units=units)

    def with_batch(self, factor: float) -> "Workload":
        """Return the workload with so many times the samples."""
        return replace(self, batch=max(FEWEST, round(self.batch * factor)))

    def scaled(self, factor: float) -> "Workload":
        """Return the workload with filters, units and samples scaled by a factor, as in tests."""
        return self if factor == 1 else self.widened(factor).with_batch(factor)

    def swept(self, axis: str | None) -> Iterator["Workload"]:
        """Yield the workload at each value of an axis of `SWEPT`; without an axis itself."""
        for value in SWEPT[axis] if axis else [1]:
            if axis == "timesteps":
                yield replace(self, timesteps=int(value))
            else:
                yield self.widened(value) if axis == "width" else self.with_batch(value)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Workload":
        """Build a workload from its JSON object, in which tuples are lists."""
        values: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in content.items()
        }
        return cls(**values)


WORKLOADS = (
    Workload(
        "W1",
        "conv 64-64-P-128-128-P-256-256-P, FC 10, batch norm, IF with soft reset, image 3×32×32 repeated over T",
        shape=(3, 32, 32),
        classes=10,
        neuron="if",
        timesteps=4,
        batch=32,
        filters=(64, 64, 128, 128, 256, 256),
        pools=(1, 2, 1, 2, 1, 2),
    ),
    Workload(
        "W2",
        "conv 2-32-64-128-128-256 with stride 2, FC 11, batch norm, LIF, events 2×128×128 at each timestep",
        shape=(2, 128, 128),
        classes=11,
        neuron="lif",
        timesteps=16,
        batch=4,
        filters=(32, 64, 128, 128, 256),
        pools=(1,) * 5,
        stride=2,
        in_data=True,
    ),
    Workload(
        "W3",
        "1-D conv 9-64-64-128, FC 6, batch norm, pool 2, LIF, signal 9×128 (the shape of UCI-HAR) repeated over T",
        shape=(9, 128),
        classes=6,
        neuron="lif",
        timesteps=8,
        batch=64,
        filters=(64, 64, 128),
        pools=(2, 2, 2),
    ),
    Workload(
        "W4",
        "smlp 784-512-10, LIF, image 1×28×28 repeated over T",
        shape=(1, 28, 28),
        classes=10,
        neuron="lif",
        timesteps=16,
        batch=128,
        units=(512,),
    ),
    Workload(
        "neuron",
        "one IF layer alone, soft reset, forward and backward on [T,N,64,32,32]",
        shape=(64, 32, 32),
        classes=0,
        neuron="if",
        timesteps=4,
        batch=32,
        in_data=True,
    ),
)
WHOLE_RUN = "W5"
"""The digits run from the command to its end; it has no peers."""
WORKLOAD_NAMES = (*(workload.name for workload in WORKLOADS), WHOLE_RUN)


def chosen_workloads(names: list[str], device: str, axis: str | None, scale: float) -> list[Workload]:
    """Return the workloads of these names as they run on a device: on CUDA with more samples and at two T."""
    workloads: list[Workload] = []
    for workload in (each for each in WORKLOADS if each.name in names):
        cuda = device == "cuda"
        for timesteps in CUDA_TIMESTEPS if cuda and axis != "timesteps" else (workload.timesteps,):
            at = replace(workload, timesteps=timesteps, batch=CUDA_BATCH if cuda else workload.batch)
            workloads += at.scaled(scale).swept(axis)
    return workloads
