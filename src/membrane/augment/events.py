"""Augmentations of frames of events: EventDrop (Gu et al. 2021, arXiv:2106.05836) and the exchange of polarities."""

from collections.abc import Iterable
from typing import Unpack

import numpy as np
import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, When, broadcast
from membrane.augment.image import rectangle
from membrane.augment.noise import one_seed, seeded
from membrane.augment.temporal import per_step


class PolarityFlip(Augmentation):
    """x [M,2,…] → its two polarities exchanged with ``probability``, otherwise unchanged."""

    def __init__(self, *, probability: float = 0.5, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not 0 <= probability <= 1:
            raise self.refusal(f"probability must be in [0, 1], got {probability}")
        self.probability = probability

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw flip [n], true with ``probability``."""
        return {"flip": torch.rand(n, generator=generator, device=generator.device) < self.probability}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Exchange the channels of x [M,2,…] where flip [M] is true → [M,2,…]. Raises ConfigError for another C."""
        if x.shape[1] != 2:
            raise self.refusal(f"is for two channels, the polarities, got {x.shape[1]}")
        return torch.where(broadcast(parameters["flip"], x), x.flip(1), x)

    def extra_repr(self) -> str:
        return f"probability={self.probability:g}"


class Drop(Augmentation):
    """The base of augmentations that drop events of each sample, a share of it from U(``smallest``, ``largest``)."""

    collapse_timesteps = False
    view = "time"

    def __init__(self, *, smallest: float, largest: float, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not 0 <= smallest <= largest <= 1:
            raise self.refusal(f"needs 0 ≤ smallest ≤ largest ≤ 1, got smallest={smallest} and largest={largest}")
        self.smallest, self.largest = smallest, largest

    def share(self, n: int, generator: Generator) -> Tensor:
        """Draw a share [n]."""
        uniform = torch.rand(n, generator=generator, device=generator.device)
        return self.smallest + (self.largest - self.smallest) * uniform

    def extra_repr(self) -> str:
        return f"smallest={self.smallest:g}, largest={self.largest:g}"


class DropTime(Drop):
    """x [N,T,…] → all events in an interval of time dropped, whose duration is a share of the valid timesteps.

    The share is from U(``smallest``, ``largest``). The interval begins anywhere in them, and ends with the last. A
    timestep is dropped if its middle lies in it.
    """

    def __init__(self, *, smallest: float = 0.1, largest: float = 0.9, **when: Unpack[When]) -> None:
        super().__init__(smallest=smallest, largest=largest, **when)

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw start [n] and duration [n], as shares of the valid timesteps."""
        start = torch.rand(n, generator=generator, device=generator.device)
        return {"start": start, "duration": self.share(n, generator)}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the timesteps of x [N,T,…] to drop → steps [N,T]."""
        middle = (torch.arange(x.shape[1], device=x.device) + 0.5) / lengths[:, None]
        start, duration = parameters["start"][:, None], parameters["duration"][:, None]
        return {"steps": (middle >= start) & (middle < start + duration) & (middle < 1)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Set the timesteps [N,T] of x [N,T,…] to 0 → [N,T,…]."""
        return torch.where(per_step(parameters["steps"], x), 0, x)


class DropArea(Drop):
    """x [N,T,C,S] or [N,T,C,H,W] → all events in a segment or rectangle dropped, each side a share of the frame's.

    The share is from U(``smallest``, ``largest``). The centre is anywhere; what lies beyond the border is cut off.
    """

    def __init__(self, *, smallest: float = 0.05, largest: float = 0.25, **when: Unpack[When]) -> None:
        super().__init__(smallest=smallest, largest=largest, **when)

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw centre [n,2] along (H, W) as fractions of the frame in [0, 1), and side [n] as a share of it."""
        centre = torch.rand(n, 2, generator=generator, device=generator.device)
        return {"centre": centre, "side": self.share(n, generator)}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the pixels of x [N,T,C,…] to drop → area [N,1,1,…]."""
        sides = torch.stack([(parameters["side"] * size).round().long() for size in x.shape[3:]], 1)
        return {"area": rectangle(x[:, 0], parameters["centre"], sides).unsqueeze(1)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Set the pixels in area [N,1,1,…] of x [N,T,C,…] to 0 → [N,T,C,…]."""
        return torch.where(parameters["area"], 0, x)


class DropEvents(Drop):
    """x [N,…] → each event dropped on its own, with a probability drawn for each sample.

    It is from U(``smallest``, ``largest``). Values are counts in units of the data as they are stored: of a count n
    those that are left are binomial.
    """

    def __init__(self, *, smallest: float = 0.1, largest: float = 0.9, **when: Unpack[When]) -> None:
        super().__init__(smallest=smallest, largest=largest, **when)
        self.unit = 1.0

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Take the unit of the stored counts, ``scale``."""
        self.unit = scale

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw dropped [n], the probability, and seed [n], equal in all rows."""
        return {"dropped": self.share(n, generator), "seed": one_seed(n, generator)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Drop events of x [N,…] with probability dropped [N], drawn from seed [N] → [N,…]."""
        copy = x.clone(memory_format=torch.contiguous_format)
        thin(copy, 1 - parameters["dropped"], self.unit, seeded(parameters, x))
        return copy

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "one probability a sample" + (" shared over T" if timesteps else "") + ", a draw an event"


class EventDrop(Augmentation):
    """x [N,T,C,S] or [N,T,C,H,W] → as it is or thinned by `DropTime`, `DropArea` or `DropEvents`, a quarter each.

    Gu et al. 2021, arXiv:2106.05836, with the shares of their published code.
    """

    collapse_timesteps = False
    view = "time"

    def __init__(self, **when: Unpack[When]) -> None:
        super().__init__(**when)
        self.strategies: tuple[Drop, ...] = (DropTime(), DropArea(), DropEvents())

    def fit(self, x: Iterable[Tensor], scale: float, timesteps: bool = False) -> None:
        """Take the unit of the stored counts, ``scale``."""
        for strategy in self.strategies:
            strategy.fit(x, scale, timesteps)

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw strategy [n], 0 to leave a sample as it is, and what each of the three draws."""
        parameters = {"strategy": torch.randint(4, (n,), generator=generator, device=generator.device)}
        for strategy in self.strategies:
            parameters |= strategy.draw(n, generator)
        return parameters

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find what each of the three would drop from x [N,T,…]."""
        resolved = parameters
        for strategy in self.strategies:
            resolved = resolved | strategy.resolve(x, lengths, parameters)
        return resolved

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Drop from each of x [N,T,…] what its strategy [N] drops → [N,T,…]."""
        left = x.clone()
        for number, strategy in enumerate(self.strategies, start=1):
            rows = (parameters["strategy"] == number).nonzero().flatten()
            if len(rows):
                left[rows] = strategy.apply(left[rows], {key: value[rows] for key, value in parameters.items()})
        return left

    def drawn(self, timesteps: bool) -> str:
        """Describe for the log what is drawn, and for what."""
        return "one strategy a sample shared over T, a draw an event"


def thin(x: Tensor, chance: Tensor, unit: float, generator: Generator) -> None:
    """Keep each event of x [N,…], contiguous counts in ``unit``, with probability chance [N]; x is changed in place.

    A value that is no whole count is one event; a negative one counts events of the other polarity.
    """
    values = x.view(-1)
    # on the CPU numpy finds what is not 0 several times as fast as torch
    on_cpu = x.device.type == "cpu"
    events = torch.from_numpy(np.flatnonzero(values.ne(0).numpy())) if on_cpu else values.nonzero().flatten()
    ends = torch.searchsorted(events, torch.arange(len(x) + 1, device=x.device) * (x.numel() // len(x)))
    probability = chance.repeat_interleave(ends.diff())
    counts = values[events].float().abs() / unit
    several = (counts > 1.5).nonzero().flatten()
    counts, among = counts[several].round(), probability[several]
    kept = torch.binomial(counts, among, generator)
    dropped = torch.rand(len(events), generator=generator, device=x.device) >= probability
    dropped[several] = False
    values[events[dropped]] = 0
    # the product of two counts is exact, and so is its quotient; n · (k / n) is not always k
    values[events[several]] = (values[events[several]] * kept / counts).to(x.dtype)
