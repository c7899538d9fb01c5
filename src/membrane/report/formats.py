"""A report's rows as Markdown, LaTeX, CSV and JSON; what a stranger wrote in a run is text in each of them."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from membrane.errors import printable_text
from membrane.report.columns import DIFFERENCE, OF_SAMPLES, Column, TableLayout, lay_out
from membrane.report.rows import ReportRow, Summary
from membrane.report.statistics import Interval

LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
}
MARKDOWN = re.compile(r"([\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_]))")
MINUS = re.compile(r"(?<![\w-])-(?=\d)")
FORMULA = ("=", "+", "-", "@")
"""Signs with which a spreadsheet's formula begins."""


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is."""
    escaped = MARKDOWN.sub(r"\\\1", printable_text(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def latex_text(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    return "".join(LATEX.get(sign, sign) for sign in printable_text(text))


def csv_text(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: behind an apostrophe if it begins like one."""
    text = printable_text(text)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def rows_as_markdown(rows: Sequence[ReportRow], metrics: Sequence[str] = ()) -> str:
    """Return the table in Markdown, what its rows share above it and its notes below."""
    layout = lay_out(rows, metrics)
    ends = ["--:" if column.is_number else "---" for column in layout.columns]
    lines = [markdown_text(layout.common), ""] if layout.common else []
    lines += [markdown_row([column.title for column in layout.columns]), f"|{'|'.join(ends)}|"]
    lines += [markdown_row(cells) for cells in zip(*(column.cells for column in layout.columns), strict=True)]
    if layout.notes:
        lines += ["", *(f"{number}. {markdown_text(note)}" for number, note in enumerate(layout.notes, 1))]
    return "\n".join([*lines, "", markdown_text(legend(layout)), ""])


def markdown_row(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(plain_interval, map(markdown_text, cells)))} |"


def plain_interval(text: str) -> str:
    """Return a cell with the brackets of an interval as they are: no link can come of them."""
    return re.sub(r"\\\[(-?[\d.]+, -?[\d.]+)\\\]", r"[\1]", text)


def legend(layout: TableLayout) -> str:
    """Return what the columns mean, those that are there."""
    titles = " ".join(column.title for column in layout.columns)
    parts = ["mean ± standard deviation (n−1) over n seeds", "95 % over seeds: Student's interval"]
    if OF_SAMPLES in titles:
        parts.append("95 % of samples: Wilson's, of one seed's test set")
    if DIFFERENCE in titles:
        unit = "in percentage points, " if ", %" in titles else ""
        parts.append(
            f"difference: {unit}paired by seed and test sample, its 95 % interval over both, p by Holm's method"
        )
    if "rate" in titles:
        parts.append("rate: non-zero outputs, the mean over layers")
    return "; ".join(parts) + "."


def rows_as_latex(rows: Sequence[ReportRow], metrics: Sequence[str] = ()) -> str:
    """Return the table as a tabular of LaTeX, for a paper that uses the package booktabs."""
    layout = lay_out(rows, metrics)
    places = "".join("r" if column.is_number else "l" for column in layout.columns)
    lines = [r"% \usepackage{booktabs}", f"% {latex_text(layout.common)}" if layout.common else "%"]
    lines += [rf"\begin{{tabular}}{{{places}}}", r"\toprule", latex_row([each.title for each in layout.columns])]
    lines.append(r"\midrule")
    for cells in zip(*(column.cells for column in layout.columns), strict=True):
        set_cells = [latex_cell(column, cell) for column, cell in zip(layout.columns, cells, strict=True)]
        if layout.notes and cells[-1]:
            set_cells[-1] = rf"\textsuperscript{{{cells[-1].replace(' ', ',')}}}"
        lines.append(latex_line(set_cells))
    lines.append(r"\bottomrule")
    for number, note in enumerate(layout.notes, 1):
        text = rf"\textsuperscript{{{number}}}{latex_text(note)}"
        lines.append(rf"\multicolumn{{{len(layout.columns)}}}{{l}}{{\footnotesize {text}}} \\")
    lines += [r"\end{tabular}", f"% {latex_text(legend(layout))}", ""]
    return "\n".join(lines)


def latex_cell(column: Column, cell: str) -> str:
    """Return a cell, with minus signs where it holds numbers."""
    return MINUS.sub("$-$", latex_text(cell)) if column.is_number else latex_text(cell)


def latex_row(cells: Sequence[str]) -> str:
    """Return a row of a tabular."""
    return latex_line(list(map(latex_text, cells)))


def latex_line(cells: Sequence[str]) -> str:
    """Return cells of LaTeX as a row; one that begins with [ or * would be an argument of the line break above it."""
    line = " & ".join(cells) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def rows_as_csv(rows: Sequence[ReportRow], metrics: Sequence[str] = ()) -> str:
    """Return a line for each row, its numbers in full, proportions as fractions."""
    names = list(dict.fromkeys(each for row in rows for each in (row.principal, *metrics) if each))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tables = [csv_cells(row, names) for row in rows]
    columns = list(dict.fromkeys(name for table in tables for name in table))
    writer.writerow([csv_text(name) for name in columns])
    writer.writerows([csv_cell(table.get(name)) for name in columns] for table in tables)
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    """Return a number as it is, text without formulas, nothing for None."""
    return csv_text(value) if isinstance(value, str) else "" if value is None else value


def csv_cells(row: ReportRow, names: Sequence[str]) -> dict[str, Any]:
    """Return column → value of a row."""
    cells: dict[str, Any] = dict(row.shown) | {"n": len(row.runs), "seeds": " ".join(map(str, row.seeds))}
    for name in names:
        summary = row.metrics.get(name)
        cells |= {name: summary and summary.mean, f"{name} std": summary and summary.std}
        cells |= ends_of(f"{name} ci95", None if summary is None else summary.interval)
    cells |= ends_of("wilson95", row.wilson)
    cells |= {"parameters": row.parameters, "passes_per_sample": row.passes, "fit_seconds": row.fit_seconds}
    cells["rate"] = row.rate
    if (difference := row.difference) is not None:
        cells |= {"difference": difference.mean, **ends_of("difference ci95", difference.interval)}
        cells |= {"difference p": difference.p, "difference to": difference.to, "verdict": difference.verdict}
    return cells | {"flags": "; ".join(row.flags)}


def ends_of(name: str, interval: Interval | None) -> dict[str, float | None]:
    """Return the two columns of an interval."""
    low, high = interval or (None, None)
    return {f"{name} low": low, f"{name} high": high}


def rows_as_json(rows: Sequence[ReportRow], metrics: Sequence[str] = ()) -> str:
    """Return a list of objects, all scores in each, whichever are shown."""
    return json.dumps([row_as_json(row) for row in rows], indent=2, allow_nan=False) + "\n"


def row_as_json(row: ReportRow) -> dict[str, Any]:
    """Return a row for JSON; proportions are fractions, and null stands for what is not known."""
    difference = row.difference
    return {
        "settings": {name: row.settings.get(name, text) for name, text in row.shown.items()},
        "n": len(row.runs),
        "seeds": row.seeds,
        "metrics": {name: summary_as_json(summary) for name, summary in row.metrics.items()},
        "wilson95": row.wilson,
        "parameters": row.parameters,
        "passes_per_sample": row.passes,
        "fit_seconds": row.fit_seconds,
        "rate": row.rate,
        "difference": difference
        and {
            "to": difference.to,
            "score": row.principal,
            "mean": difference.mean,
            "ci95": difference.interval,
            "p": difference.p,
            "p_alone": difference.p_alone,
            "verdict": difference.verdict,
        },
        "flags": row.flags,
        "fingerprint": row.fingerprint,
        "folders": [str(run.folder) for run in row.runs],
    }


def summary_as_json(summary: Summary) -> Mapping[str, Any]:
    """Return a score over seeds for JSON."""
    return {"mean": summary.mean, "std": summary.std, "ci95": summary.interval}


FORMATS: Mapping[str, Callable[[Sequence[ReportRow], Sequence[str]], str]] = {
    "md": rows_as_markdown,
    "latex": rows_as_latex,
    "csv": rows_as_csv,
    "json": rows_as_json,
}
SUFFIXES = {".md": "md", ".tex": "latex", ".csv": "csv", ".json": "json"}
