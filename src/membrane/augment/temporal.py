"""Augmentations along time: moving and warping the valid steps of a sample. Its length stays as it is.

Time is T or, where data have no timesteps, the last axis: S of a signal [N,C,S], W of a spectrogram [N,C,H,W].
"""

from typing import Literal, Unpack

import torch
from torch import Generator, Tensor

from membrane.augment.augmentation import Augmentation, When


class TimeShift(Augmentation):
    """x [N,L,…] → moved by −``steps`` to ``steps`` whole steps of time within the valid ones.

    What comes from outside is 0, or with ``wrap`` what left at the other end.
    """

    collapse_timesteps = False
    view = "time"

    def __init__(self, *, steps: int, wrap: bool = False, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not isinstance(steps, int) or steps < 0:
            raise self.refusal(f"steps must be a whole number of at least 0, got {steps}")
        self.steps, self.wrap = steps, wrap

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw offset [n], positive for later."""
        low, high = -self.steps, self.steps + 1
        return {"offset": torch.randint(low, high, (n,), generator=generator, device=generator.device)}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the source [N,L] of each step of x [N,L,…], −1 where there is none; padding stays where it is."""
        step, end = torch.arange(x.shape[1], device=x.device), lengths[:, None]
        source = step - parameters["offset"][:, None]
        source = source % end if self.wrap else source.where((source >= 0) & (source < end), -1)
        return {"source": source.where(step < end, step)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Take the steps source [N,L] from x [N,L,…], 0 for −1 → [N,L,…]."""
        source = parameters["source"]
        return torch.where(per_step(source < 0, x), 0, steps_at(x, source.clamp(min=0)))

    def extra_repr(self) -> str:
        return f"steps={self.steps}" + ", wrap" * self.wrap


class TimeWarp(Augmentation):
    """x [N,L,…] → time stretched before one point and compressed behind it, or the reverse; both ends stay.

    The point is moved by U(−w, w) steps from a position uniform over the valid ones without w at either end, w being
    ``steps``, or a third of a shorter sample (Park et al. 2019, arXiv:1904.08779, with two straight pieces in the place
    of a spline). ``nearest`` takes the nearest step, which keeps counts whole; ``linear`` interpolates between two.
    """

    collapse_timesteps = False
    view = "time"

    def __init__(
        self, *, steps: float, interpolation: Literal["linear", "nearest"] = "linear", **when: Unpack[When]
    ) -> None:
        super().__init__(**when)
        if not 0 <= steps < float("inf"):
            raise self.refusal(f"steps must be a finite number of at least 0, got {steps}")
        self.steps, self.interpolation = steps, interpolation

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw point [n] in [0, 1) and displacement [n] in [−1, 1), as shares of what is possible."""
        uniform = torch.rand(n, 2, generator=generator, device=generator.device)
        return {"point": uniform[:, 0], "displacement": 2 * uniform[:, 1] - 1}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the source [N,L] of each step of x [N,L,…], a fraction; padding stays where it is."""
        step, last = torch.arange(x.shape[1], device=x.device), (lengths[:, None] - 1).float()
        most = (last / 3).clamp(max=self.steps)
        point = most + parameters["point"][:, None] * (last - 2 * most)
        moved = point + parameters["displacement"][:, None] * most
        # a sample of one step has nothing to warp: its point and last step are 0
        before = step * point / moved.clamp(min=1e-6)
        behind = last - (last - step) * (last - point) / (last - moved).clamp(min=1e-6)
        source = torch.where(step < moved, before, behind)
        return {"source": source.where(step <= last, step)}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Interpolate x [N,L,…] at source [N,L] → [N,L,…]."""
        source = parameters["source"]
        if self.interpolation == "nearest":
            return steps_at(x, source.round().long())
        share = per_step(source - source.floor(), x).to(x.dtype)
        return (1 - share) * steps_at(x, source.floor().long()) + share * steps_at(x, source.ceil().long())

    def extra_repr(self) -> str:
        return f"steps={self.steps:g}, interpolation={self.interpolation}"


class TimeSubset(Augmentation):
    """x [N,T,…] → [N,``steps``,…]: so many of the valid timesteps, drawn at random for each sample and kept in order.

    SEW ResNet trains on 12 of 16 timesteps and is evaluated on all (Fang et al. 2021, arXiv:2102.04159). A sample with
    no more valid timesteps than ``steps`` keeps them all.
    """

    collapse_timesteps = False
    shortens = True

    def __init__(self, *, steps: int, **when: Unpack[When]) -> None:
        super().__init__(**when)
        if not isinstance(steps, int) or steps < 1:
            raise self.refusal(f"steps must be a whole number of at least 1, got {steps}")
        self.steps = steps

    def draw(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draw seed [n]: how many numbers a sample needs depends on its timesteps."""
        return {"seed": torch.randint(2**63 - 1, (n,), generator=generator, device=generator.device)}

    def resolve(self, x: Tensor, lengths: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Find the source [N,steps] of each timestep that stays of x [N,T,…]; behind them stand later ones."""
        seeds = parameters["seed"].tolist()
        order = torch.stack([torch.rand(x.shape[1], generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
        chosen = order.to(x.device).masked_fill(padding, 2).argsort(dim=1, stable=True)[:, : self.steps]
        return {"source": chosen.sort(1).values}

    def apply(self, x: Tensor, parameters: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        """Take the timesteps source [N,steps] of x [N,T,…] → [N,steps,…]."""
        return steps_at(x, parameters["source"])

    def lengths(self, lengths: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Cut the numbers of valid timesteps [N] to ``steps`` → [N]."""
        return lengths.clamp(max=self.steps)

    def extra_repr(self) -> str:
        return f"steps={self.steps}"


def steps_at(x: Tensor, source: Tensor) -> Tensor:
    """Take the steps source [N,L] of each sample from x [N,L,…] → [N,L,…]."""
    return x[torch.arange(len(x), device=x.device)[:, None], source]


def per_step(values: Tensor, x: Tensor) -> Tensor:
    """Reshape values [N,L] to broadcast over x [N,L,…]."""
    return values.reshape(*values.shape, *[1] * (x.dim() - 2))
