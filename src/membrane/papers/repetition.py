"""A recorded run against the same run trained again: every number of both, to the last digit."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane.papers.record import CURVES, epoch_rows, run_text
from membrane.runs.saved import RESULT, read_result

OF_TIME = ("fit_seconds", "samples_per_second", "seconds")
"""Numbers that are of the clock, which no training repeats."""

Numbers = dict[str, Any]
"""What a number is of → the number."""


def numbers_in(folder: Path) -> Numbers:
    """Return all that the result and the epochs in the folder of a record or of a run say, but for times."""
    tables = [path for path in (folder / CURVES, folder / "metrics.csv") if path.exists()]
    return result_numbers(folder) | (curve_numbers(epoch_rows(run_text(tables[0]))) if tables else {})


def differing_numbers(recorded: Numbers, again: Numbers) -> list[str]:
    """Return a line for each recorded number that the other run lacks or has otherwise."""
    pairs = [(name, number, again.get(name)) for name, number in recorded.items()]
    return [f"{name}: recorded {was!r}, now {now!r}" for name, was, now in pairs if not is_same(was, now)]


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, NaN being equal to NaN."""
    return bool(one == other or (one != one and other != other))


def result_numbers(folder: Path) -> Numbers:
    """Return the values of a result.json by their names, ``metrics: test/acc``."""
    return dict(flat(f"{RESULT}: ", read_result(folder)))


def flat(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the values in nested objects with their names, but for times."""
    if not isinstance(value, Mapping):
        return [(name.removesuffix(": "), value)]
    kept = {key: inner for key, inner in value.items() if key not in OF_TIME}
    return [pair for key, inner in kept.items() for pair in flat(f"{name}{key}: ", inner)]


def curve_numbers(table: str) -> Numbers:
    """Return the cells of a table of epochs as they are written, by epoch and column, but for times."""
    rows = csv.DictReader(io.StringIO(table))
    return {
        f"{CURVES}: epoch {row['epoch']}: {name}": cell
        for row in rows
        for name, cell in row.items()
        if cell and name not in OF_TIME
    }
