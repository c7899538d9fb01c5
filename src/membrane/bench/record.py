"""Measurements as plain data, and the numbers that follow from them. Without torch."""

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
    """Return the spread of at least one value; the quartiles of one are itself."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Spread(middle, low, high)


@dataclass(frozen=True)
class Timing:
    """A peer's seconds a step, one number a round; ``memory`` in bytes if it was measured."""

    peer: str
    role: str
    precision: str
    seconds: list[float]
    memory: int | None = None

    @property
    def label(self) -> str:
        """Return ``membrane multistep, bf16``."""
        return peer_label(self.peer, self.precision)


def peer_label(peer: str, precision: str) -> str:
    """Return the name of a peer at a precision."""
    return f"{peer}, {precision}"


@dataclass(frozen=True)
class Case:
    """A workload's timings, taken in the same rounds; ``left_out`` says why the others are missing."""

    workload: Workload
    timings: list[Timing]
    left_out: dict[str, str] = field(default_factory=dict)

    def best_peer(self) -> Timing | None:
        """Return the peer, neither ours nor a floor, with the lowest median in fp32, in either layout."""
        timings = [each for each in self.timings if each.role == "peer" and each.precision.startswith("fp32")]
        return min(timings, key=lambda each: median(each.seconds), default=None)

    def floor(self, precision: str) -> Timing | None:
        """Return the floor at a precision; None if it was not timed."""
        floors = (each for each in self.timings if each.role == "floor" and each.precision == precision)
        return next(floors, None)

    def timing_of(self, peer: str, precision: str) -> Timing | None:
        """Return the timing of a peer at a precision; None if it was not timed."""
        return next((each for each in self.timings if (each.peer, each.precision) == (peer, precision)), None)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Case":
        """Build a case from its JSON object."""
        timings = [Timing(**each) for each in content["timings"]]
        return cls(Workload.from_json(content["workload"]), timings, content["left_out"])


def ratio(timing: Timing, reference: Timing | None) -> Spread | None:
    """Return the spread of a timing over the reference's, round by round: what slows a whole round down cancels."""
    if reference is None:
        return None
    return spread([one / other for one, other in zip(timing.seconds, reference.seconds, strict=True)])


@dataclass(frozen=True)
class WholeRun:
    """Seconds from the command to the first optimiser step and to the end, and those of the fit alone."""

    first_step: list[float]
    end: list[float]
    fit: list[float]
