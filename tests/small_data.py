"""Small data sets for tests, and the data module that reads one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from membrane.data.feed.module import DataModule
from membrane.data.samples import Samples

T = 4


@dataclass(frozen=True)
class Given:
    """A data set that returns what it was made with."""

    parts: Any

    def load(self, root: Path, timesteps: int) -> Any:
        return self.parts


def module(parts: Any, shape: list[int], classes: int, *, timed: bool = False, **changes: Any) -> DataModule:
    """The data module of a data set of these parts."""
    told = {"root": Path(), "timesteps": T, "timesteps_in_data": timed, "protocol": "last", "batch_size": 8, "seed": 0}
    return DataModule(Given(parts), shape=shape, classes=classes, **{**told, **changes})


def part(n: int, **changes: Any) -> Samples:
    """n samples [1,3] of two classes."""
    columns = {"x": torch.rand(n, 1, 3), "y": torch.arange(n) % 2, "recording": torch.arange(n)}
    return Samples(**{**columns, **changes})


def put(values: torch.Tensor, at: tuple[int, ...], value: float) -> torch.Tensor:
    """A copy with another value in one place."""
    changed = values.clone()
    changed[at] = value
    return changed
