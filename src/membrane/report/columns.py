"""The columns of a report's table, as text, and the notes below it; every format writes the same ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from membrane.report.rows import ReportRow, Summary, common_settings
from membrane.report.statistics import Interval
from membrane.report.terminal import clock_text
from membrane.scores import score_of

NOTHING = "–"
OVER_SEEDS, OF_SAMPLES, DIFFERENCE, P_VALUE, NOTES = (
    "95 % over seeds",
    "95 % of samples",
    "difference to",
    "p (Holm)",
    "notes",
)
"""Titles of columns."""
RATIO, PERCENT = 1.0, 100.0


@dataclass(frozen=True)
class Column:
    """A column: title, a cell for each row, and ``rank``: a narrow terminal leaves out the highest first, 0 never."""

    title: str
    cells: tuple[str, ...]
    rank: int = 0
    is_number: bool = True
    is_setting: bool = False


@dataclass(frozen=True)
class TableLayout:
    """A table of columns, what its rows share, and numbered notes, of which the last column tells the rows'."""

    columns: tuple[Column, ...]
    common: str
    notes: tuple[str, ...]


def lay_out(rows: Sequence[ReportRow], metrics: Sequence[str] = ()) -> TableLayout:
    """Return the table of rows, with other scores, such as ``test/f1``, beside the one that a row is known by."""
    notes = tuple(dict.fromkeys(flag for row in rows for flag in row.flags))
    marks = [" ".join(str(1 + notes.index(flag)) for flag in dict.fromkeys(row.flags)) for row in rows]
    columns = [*setting_columns(rows), *score_columns(rows, metrics), *difference_columns(rows), *cost_columns(rows)]
    if notes:
        columns.append(Column(NOTES, tuple(marks), is_number=False))
    common = ", ".join(f"{name} {text}" for name, text in common_settings(rows).items())
    return TableLayout(tuple(columns), common, notes)


def setting_columns(rows: Sequence[ReportRow]) -> list[Column]:
    """Return a column for each setting that differs."""
    names = list(rows[0].shown)
    return [Column(name, tuple(row.shown[name] for row in rows), is_number=False, is_setting=True) for name in names]


def score_columns(rows: Sequence[ReportRow], metrics: Sequence[str]) -> list[Column]:
    """Return the columns of scores over seeds, with the two intervals of the one that rows are known by."""
    principal = list(dict.fromkeys(row.principal for row in rows if row.principal is not None))
    columns = []
    for name in dict.fromkeys([*principal, *metrics]):
        cells = tuple(mean_cell(name, row.metrics.get(name)) for row in rows)
        columns.append(Column(f"{name}{unit_of(name)}", cells))
    columns.append(Column("n", tuple(str(len(row.runs)) for row in rows)))
    columns.append(Column(OVER_SEEDS, tuple(seeds_cell(row) for row in rows), 2))
    if any(row.wilson for row in rows):
        columns.append(Column(OF_SAMPLES, tuple(wilson_cell(row) for row in rows), 3))
    return columns


def difference_columns(rows: Sequence[ReportRow]) -> list[Column]:
    """Return the columns of the comparison with a baseline; none if there is no baseline."""
    if not any(row.is_baseline for row in rows):
        return []
    to = next((row.difference.to for row in rows if row.difference), "the baseline")
    return [
        Column(f"{DIFFERENCE} {to}", tuple(map(difference_cell, rows))),
        Column(P_VALUE, tuple(p_text(row.difference.p) if row.difference else "" for row in rows), 1),
        Column("verdict", tuple(map(verdict_cell, rows)), is_number=False),
    ]


def cost_columns(rows: Sequence[ReportRow]) -> list[Column]:
    """Return the columns of what a row costs, those of which something is known."""
    columns: list[tuple[str, int, Callable[[ReportRow], str]]] = [
        ("parameters", 6, lambda row: NOTHING if row.parameters is None else f"{row.parameters:,}"),
        ("passes", 7, lambda row: NOTHING if row.passes is None else str(row.passes)),
        ("fit time", 5, lambda row: NOTHING if row.fit_seconds is None else clock_text(row.fit_seconds)),
        ("rate, %", 4, lambda row: NOTHING if row.rate is None else f"{PERCENT * row.rate:.2f}"),
    ]
    laid = [Column(title, tuple(map(cell, rows)), rank) for title, rank, cell in columns]
    return [column for column in laid if set(column.cells) != {NOTHING}]


def unit_of(name: str) -> str:
    """Return ``, %`` for a score that is shown in percent."""
    return ", %" if score_of(name).percent else ""


def factor_of(name: str | None) -> float:
    """Return what a score is multiplied by where it is shown."""
    return PERCENT if name is not None and score_of(name).percent else RATIO


def digits_of(name: str | None) -> int:
    """Return the decimals of a score."""
    return 2 if factor_of(name) == PERCENT else 4


def mean_cell(name: str, summary: Summary | None) -> str:
    """Return ``89.81 ± 0.12``, the mean and the standard deviation over seeds; the value alone of one seed."""
    if summary is None:
        return NOTHING
    factor, digits = factor_of(name), digits_of(name)
    mean = f"{factor * summary.mean:.{digits}f}"
    return mean if summary.std is None else f"{mean} ± {factor * summary.std:.{digits}f}"


def interval_cell(name: str | None, interval: Interval | None) -> str:
    """Return ``[89.50, 90.12]``."""
    if interval is None:
        return NOTHING
    factor, digits = factor_of(name), digits_of(name)
    low, high = (f"{factor * end:.{digits}f}" for end in interval)
    return f"[{low}, {high}]"


def seeds_cell(row: ReportRow) -> str:
    """Return Student's interval of the score that a row is known by."""
    return interval_cell(row.principal, row.metrics[row.principal].interval if row.principal else None)


def wilson_cell(row: ReportRow) -> str:
    """Return the Wilson interval of the test samples."""
    return interval_cell(row.principal, row.wilson)


def difference_cell(row: ReportRow) -> str:
    """Return ``+0.42 [0.10, 0.74]``, in percentage points for a score in percent."""
    if row.difference is None:
        return "" if row.is_baseline else NOTHING
    mean = f"{factor_of(row.principal) * row.difference.mean:+.{digits_of(row.principal)}f}"
    return f"{mean} {interval_cell(row.principal, row.difference.interval)}"


def verdict_cell(row: ReportRow) -> str:
    """Return the verdict, ``baseline`` for the baseline itself."""
    if row.difference is not None:
        return row.difference.verdict
    return "baseline" if row.is_baseline else NOTHING


def p_text(p: float) -> str:
    """Return ``0.042``, or ``<0.001``."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
