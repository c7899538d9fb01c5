"""The content of a report's page, gathered from its rows: plain values for the template, and JSON for its script."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from membrane.report.answer_sentence import answer_sentence, row_name
from membrane.report.columns import (
    DIFFERENCE,
    NOTES,
    OF_SAMPLES,
    OVER_SEEDS,
    P_VALUE,
    PERCENT,
    Column,
    factor_of,
    lay_out,
)
from membrane.report.drawings import cost_scatters, interval_strips
from membrane.report.page_anytime import row_anytime
from membrane.report.page_curves import row_curves, row_health
from membrane.report.page_samples import SampleTally, hardest_samples, row_samples
from membrane.report.recorded import Recorded, noted
from membrane.report.rows import ReportRow
from membrane.report.settings import setting_text
from membrane.scores import score_of

MOST_FAILURES = 20
MOST_DRAWN = 6
TRACEBACK = 4000
"""Characters of a traceback, the last ones."""
PROVENANCE_SHOWN = ("code_digest", "data_hash", "split_hash", "processor", "device", "kernels", "threads", "precision")
DIGESTS = ("commit", "code_digest", "data_hash", "split_hash")
LONGEST = 500
"""Characters of a value of provenance that are shown."""
DIGEST = 12
"""Digits of a digest that are shown."""


def page_content(
    rows: Sequence[ReportRow], metrics: Sequence[str], unread: Sequence[str], beside: Path | None
) -> dict[str, Any]:
    """Return what the template needs; links to folders are relative to the folder ``beside``, None for no links."""
    score = next((row.principal for row in rows if row.principal), None)
    layout = lay_out(rows, metrics)
    tallies: dict[bytes, SampleTally] = {}
    drawn = [row_content(row, len(rows), tallies, beside) for row in rows]
    layers = list(dict.fromkeys(layer for row in rows for layer in row.rates))
    runs = [run for row in rows for run in row.runs]
    percent = factor_of(score) == PERCENT
    return {
        "names": sorted({str(run.result.get("name") or run.folder.absolute().parent.parent.name) for run in runs}),
        "runs": len(runs),
        "answer": answer_sentence(rows),
        "common": layout.common,
        "strip_after": next(
            (place for place, column in enumerate(layout.columns) if score and column.title.startswith(score)), -1
        ),
        "columns": [column for column in layout.columns if column.title != NOTES],
        "table": page_lines(rows, layout.columns, score),
        "strips": interval_strips(rows, score) if score else [],
        "notes": layout.notes,
        "unread": list(unread),
        "scatters": cost_scatters(rows, score) if score else [],
        "score_title": f"{score_of(score).title or score}{', %' if percent else ''}" if score else "",
        "hardest": hardest_samples(tallies),
        "layers": layers,
        "rates": [(row_name(row), [row.rates.get(layer) for layer in layers]) for row in rows if row.rates],
        "provenance": provenance_lines(runs),
        "failures": [failure(run) for row in rows for run in row.unfinished][:MOST_FAILURES],
        "data": {"rows": drawn, "first": first_drawn(rows, score)},
    }


def first_drawn(rows: Sequence[ReportRow], score: str | None) -> list[int]:
    """Return the numbers of the rows that are drawn at first: the baseline's, and the best ones, in their order."""
    known = [number for number, row in enumerate(rows) if score in row.metrics]
    sign = 1 if score is not None and score_of(score).lower_is_better else -1
    known.sort(key=lambda number: (not rows[number].is_baseline, sign * rows[number].metrics[score or ""].mean))
    return sorted(known[:MOST_DRAWN])


def row_content(row: ReportRow, rows: int, tallies: dict[bytes, SampleTally], beside: Path | None) -> dict[str, Any]:
    """Return what the script draws of a row."""
    runs = [*row.runs, *row.unfinished]
    return {
        "name": row_name(row),
        "curves": row_curves(row, rows),
        "health": row_health(row, rows),
        "anytime": row_anytime(row),
        "settings": {name: setting_text(value) for name, value in row.settings.items()},
        "runs": [[str(run.seed), str(run.folder), folder_link(run.folder, beside)] for run in runs],
        **row_samples(row, tallies),
    }


def folder_link(folder: Path, beside: Path | None) -> str | None:
    """Return a link to a folder, relative to where the page lies; no name in it can be a scheme or leave the quotes."""
    if beside is None:
        return None
    return "./" + quote(Path(os.path.relpath(folder, beside)).as_posix(), safe="/") + "/"


def page_lines(rows: Sequence[ReportRow], columns: Sequence[Column], score: str | None) -> list[dict[str, Any]]:
    """Return each row's cells, each with the value by which it is sorted, and its notes."""
    lines = []
    for number, row in enumerate(rows):
        cells = [(column, column.cells[number]) for column in columns if column.title != NOTES]
        lines.append(
            {
                "name": row_name(row),
                "baseline": row.is_baseline,
                "cells": [(cell, sort_value(row, column, cell, score)) for column, cell in cells],
                "notes": [column.cells[number].split() for column in columns if column.title == NOTES][:1],
            }
        )
    return lines


def sort_value(row: ReportRow, column: Column, cell: str, score: str | None) -> float | str | None:
    """Return the value by which a cell is sorted, a number where there is one."""
    summary = row.metrics.get(score) if score else None
    numbers: dict[str, float | None] = {
        "n": len(row.runs),
        "parameters": row.parameters,
        "passes": row.passes,
        "fit time": row.fit_seconds,
        "rate, %": row.rate,
        OVER_SEEDS: summary.interval[0] if summary and summary.interval else None,
        OF_SAMPLES: row.wilson[0] if row.wilson else None,
        P_VALUE: row.difference.p if row.difference else None,
    }
    if column.title in numbers:
        return numbers[column.title]
    if column.title.startswith(DIFFERENCE):
        return row.difference.mean if row.difference else None
    name = column.title.removesuffix(", %")
    return row.metrics[name].mean if name in row.metrics else cell


def provenance_lines(runs: Sequence[Recorded]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return each kind of origin with its values and the number of runs that have each."""
    lines: dict[str, dict[str, int]] = {}
    for run in runs:
        git, versions = run.provenance.get("git"), run.provenance.get("versions")
        entries = {"commit": git.get("commit") if isinstance(git, dict) else None}
        entries |= {name: run.provenance.get(name) for name in PROVENANCE_SHOWN}
        entries |= versions if isinstance(versions, dict) else {}
        command = run.provenance.get("command")
        entries["command"] = " ".join(map(str, command)) if isinstance(command, list) else None
        for name, value in entries.items():
            if value is not None:
                text = str(value)[: DIGEST if name in DIGESTS else LONGEST]
                counts = lines.setdefault(str(name), {})
                counts[text] = counts.get(text, 0) + 1
    return [(name, sorted(counts.items(), key=lambda each: -each[1])) for name, counts in lines.items()]


def failure(run: Recorded) -> dict[str, Any]:
    """Return what is known of a run that has no result: its standing, its error, the end of its traceback."""
    standing = run.standing
    traceback = ""
    if standing.status == "failed":
        told = noted(run.folder / "FAILED.json", []).get("traceback", "")
        traceback = ("\n".join(map(str, told)) if isinstance(told, list) else str(told))[-TRACEBACK:]
    progress = "" if standing.completed is None else f"{standing.completed} of {standing.epochs or '?'} epochs"
    return {
        "folder": str(run.folder),
        "status": standing.status,
        "progress": progress,
        "error": standing.error or "; ".join(standing.damaged),
        "traceback": traceback,
    }
