"""What was measured, as plain data, and what follows from it. Without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from membrane.bench.workloads import Workload


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    middle: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value; the quartiles of one are itself."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Spread(middle, low, high)


@dataclass(frozen=True)
class Timing:
    """A peer's seconds a step, one number a round; ``memory`` in bytes where it was measured."""

    peer: str
    role: str
    precision: str
    seconds: list[float]
    memory: int | None = None

    @property
    def label(self) -> str:
        """``membrane multistep, bf16``."""
        return label(self.peer, self.precision)


def label(peer: str, precision: str) -> str:
    """A peer at a precision."""
    return f"{peer}, {precision}"


@dataclass(frozen=True)
class Case:
    """A workload's timings, taken in the same rounds; ``left_out`` says why the others are missing."""

    workload: Workload
    timings: list[Timing]
    left_out: dict[str, str] = field(default_factory=dict)

    def best_peer(self) -> Timing | None:
        """The peer, neither ours nor a floor, with the lowest median in fp32."""
        found = [each for each in self.timings if each.role == "peer" and each.precision == "fp32"]
        return min(found, key=lambda each: median(each.seconds), default=None)

    def floor(self, precision: str) -> Timing | None:
        """The floor at a precision."""
        found = [each for each in self.timings if each.role == "floor" and each.precision == precision]
        return found[0] if found else None

    @classmethod
    def read(cls, plain: dict[str, Any]) -> "Case":
        """From JSON."""
        return cls(Workload.read(plain["workload"]), [Timing(**each) for each in plain["timings"]], plain["left_out"])


def ratio(timing: Timing, reference: Timing | None) -> Spread | None:
    """How many times the reference's, round by round: what slows a whole round down cancels."""
    if reference is None:
        return None
    return spread([one / other for one, other in zip(timing.seconds, reference.seconds, strict=True)])


@dataclass(frozen=True)
class WholeRun:
    """Seconds from the command to the first optimiser step and to the end, and those of the fit alone."""

    first_step: list[float]
    end: list[float]
    fit: list[float]
