"""The recorded results of a row: one for each protocol and seed, and what they say of the claim."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from membrane.errors import ConfigError, DataError
from membrane.files import durable
from membrane.files.regular import open_regular
from membrane.papers.registry import PaperRow
from membrane.runs.saved import PROVENANCE, RESULT, read_provenance, read_result

SCORE = {"best": "test/acc_best_oracle", "last": "test_last/acc", "mean_last10": "test/acc_mean_last10"}
"""The number that a paper publishes → ours under the paper's protocol."""
HONEST, HONEST_SCORE = "val_best", "test/acc"
"""The protocol that selects on validation and reads the test set once, and its score."""
CURVES = "curves.csv"
"""The rows of metrics.csv that end an epoch."""
OF_THE_MACHINE = ("command", "rerun")
"""What a record leaves out of provenance.json: the command line may name folders of the machine that it ran on."""

Results = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Protocol → seed → the content of result.json."""


@dataclass(frozen=True)
class SeedMean:
    """The mean and the standard deviation (n − 1) of an accuracy over n seeds; of a single one it is None."""

    mean: float
    deviation: float | None
    n: int

    def __str__(self) -> str:
        deviation = "" if self.deviation is None else f" ± {self.deviation * 100:.2f}"
        return f"{self.mean * 100:.2f}{deviation}"


def read_record(records: Path, row: PaperRow, unread: list[str]) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the results in ``<records>/<id>/<protocol>/seed<k>``; empty if nothing is recorded.

    A line on each one that cannot be read is added to ``unread``.
    """
    results: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted((records / row.id).glob(f"*/seed*/{RESULT}")):
        seed = path.parent.name.removeprefix("seed")
        if seed.isdecimal():
            try:
                results.setdefault(path.parent.parent.name, {})[int(seed)] = read_result(path.parent)
            except (ConfigError, DataError) as error:
                unread.append(str(error))
    return results


def write_record(records: Path, row: PaperRow, protocol: str, seed: int, run: Path) -> None:
    """Copy the result, the curves and the provenance of a finished run into the record of a row."""
    folder = records / row.id / protocol / f"seed{seed}"
    provenance = {key: value for key, value in read_provenance(run).items() if key not in OF_THE_MACHINE}
    durable.write_json(folder / PROVENANCE, provenance)
    with open(run / "metrics.csv", encoding="utf-8", opener=open_regular) as file:
        curves = epoch_rows(file.read())
    durable.write_whole(folder / CURVES, lambda file: file.write(curves.encode()))
    durable.write_json(folder / RESULT, read_result(run))


def epoch_rows(table: str) -> str:
    """Return a table in CSV with the rows alone that end an epoch: those with a score of validation or the test set.

    All rows of a run without either.
    """
    header, *rows = csv.reader(io.StringIO(table))
    measured = [column for column, name in enumerate(header) if name.startswith(("val/", "oracle/"))]
    kept = [row for row in rows if any(row[column] for column in measured)] if measured else rows
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *kept])
    return text.getvalue()


def spread_of(results: Results, protocol: str, score: str) -> SeedMean | None:
    """Return the spread of a score over the seeds of a protocol, None if no seed has it.

    Its mean is NaN if one can be no accuracy. Raises DataError if one is no number.
    """
    values = [each.get("metrics", {}).get(score) for each in results.get(protocol, {}).values()]
    numbers = [value for value in values if value is not None]
    if not all(isinstance(value, float | int) for value in numbers):
        raise DataError(f"a result of protocol {protocol} has a {score} that is no number")
    if not numbers:
        return None
    if not all(0 <= number <= 1 for number in numbers):
        return SeedMean(math.nan, None, len(numbers))
    return SeedMean(mean(numbers), stdev(numbers) if len(numbers) > 1 else None, len(numbers))


def compared_spread(row: PaperRow, results: Results) -> SeedMean | None:
    """Return our number that is compared with the published one, under the paper's protocol; None without a result."""
    return spread_of(results, row.paper.protocol, SCORE[row.paper.compared])


def honest_spread(results: Results) -> SeedMean | None:
    """Return the test accuracy of the weights that validation selected; None without a result."""
    return spread_of(results, HONEST, HONEST_SCORE)


def band_state(row: PaperRow, results: Results) -> str:
    """Return ``not recorded``, ``in band`` or ``outside``, with the number of seeds where some are missing."""
    spread = compared_spread(row, results)
    if spread is None:
        return "not recorded"
    low, high = row.paper.band
    text = "in band" if low <= spread.mean <= high else "outside"
    return text if spread.n >= row.paper.seeds else f"{text}, {spread.n} of {row.paper.seeds} seeds"
