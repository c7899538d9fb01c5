"""The mean of an accuracy over seeds, and its spread."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from membrane.errors import DataError


@dataclass(frozen=True)
class SeedMean:
    """The mean and the standard deviation (n − 1) of an accuracy over n seeds; of a single one it is None."""

    mean: float
    deviation: float | None
    n: int

    def __str__(self) -> str:
        deviation = "" if self.deviation is None else f" ± {self.deviation * 100:.2f}"
        return f"{self.mean * 100:.2f}{deviation}"


def seed_mean(values: Iterable[Any], what: str) -> SeedMean | None:
    """Return the spread of accuracies over seeds, None if no seed has one.

    Its mean is NaN if one can be no accuracy. Raises DataError, which says ``what`` it is, if one is no number.
    """
    numbers = [value for value in values if value is not None]
    if not all(isinstance(value, float | int) and not isinstance(value, bool) for value in numbers):
        raise DataError(f"{what} that is no number")
    if not numbers:
        return None
    if not all(0 <= number <= 1 for number in numbers):
        return SeedMean(math.nan, None, len(numbers))
    return SeedMean(mean(numbers), stdev(numbers) if len(numbers) > 1 else None, len(numbers))
