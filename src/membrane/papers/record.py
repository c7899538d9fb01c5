"""The recorded results of a row: one for each protocol and seed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane.errors import ConfigError, DataError
from membrane.files import durable
from membrane.files.regular import open_regular
from membrane.papers.registry import PaperRow
from membrane.papers.shareable import shareable_config, shareable_log, shareable_provenance
from membrane.papers.spread import SeedMean, seed_mean
from membrane.runs.saved import CONFIG, PROVENANCE, RESULT, read_provenance, read_result

CURVES, METRICS, LOG = "curves.csv", "metrics.csv", "run.log"
"""The rows of metrics.csv that end an epoch; the run's own table; what the run logged."""

Results = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Protocol → seed → the content of result.json."""


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
    """Copy what tells of a finished run, and what repeats it, into a row's record; nothing there names the machine."""
    folder = records / row.id / protocol / f"seed{seed}"
    copy_run(run, folder, CURVES)


def copy_run(run: Path, folder: Path, curves: str) -> None:
    """Copy a finished run's provenance, configuration, epochs (to the file ``curves``), log and result."""
    durable.write_json(folder / PROVENANCE, shareable_provenance(read_provenance(run)))
    durable.write_utf8(folder / CONFIG, shareable_config(run))
    durable.write_utf8(folder / curves, epoch_rows(run_text(run / METRICS)))
    durable.write_utf8(folder / LOG, shareable_log(run_text(run / LOG)))
    durable.write_json(folder / RESULT, read_result(run))


def run_text(path: Path) -> str:
    """Return a file of a run, which is no link."""
    with open(path, encoding="utf-8", opener=open_regular) as file:
        return file.read()


def epoch_rows(table: str) -> str:
    """Return a table in CSV with the rows alone that end an epoch: those with a score or a firing rate measured then.

    All rows of a run without either.
    """
    header, *rows = csv.reader(io.StringIO(table))
    measured = [column for column, name in enumerate(header) if name.startswith(("val/", "oracle/", "rate/"))]
    kept = [row for row in rows if any(row[column] for column in measured)] if measured else rows
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *kept])
    return text.getvalue()


def spread_of(results: Results, protocol: str, score: str) -> SeedMean | None:
    """Return the spread of a score over the seeds of a protocol, None if no seed has it."""
    values = [each.get("metrics", {}).get(score) for each in results.get(protocol, {}).values()]
    return seed_mean(values, f"a result of protocol {protocol} has a {score}")
