"""A report's table on a terminal, as wide as that is."""

import re
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Group, JustifyMethod
from rich.table import Table
from rich.text import Text

from membrane.errors import printable_text
from membrane.report.columns import Column, TableLayout
from membrane.report.formats import legend
from membrane.report.settings import ABSENT

GAP = 2
ALL_SETTINGS = "settings"
SETTINGS = 44
"""Characters of the column of all settings, at least."""


def fitting_columns(layout: TableLayout, width: int) -> list[Column]:
    """Return the columns that a terminal of this width has room for, leaving out those of the highest rank first.

    Where even the others are too wide, all settings stand in one column.
    """
    columns = list(layout.columns)
    while total_width(columns) > width and any(column.rank for column in columns):
        columns.remove(max(columns, key=lambda column: column.rank))
    return columns if total_width(columns) <= width else joined_settings(layout, width)


def joined_settings(layout: TableLayout, width: int) -> list[Column]:
    """Return the columns with all settings in the first: ``neuron lif, timesteps 8``, without those that are absent."""
    settings = [column for column in layout.columns if column.is_setting]
    texts = [
        ", ".join(f"{column.title} {column.cells[row]}" for column in settings if column.cells[row] != ABSENT)
        for row in range(len(layout.columns[0].cells))
    ]
    rest = [column for column in layout.columns if not column.is_setting]
    room = width - SETTINGS - GAP
    while total_width(rest) > room and any(column.rank for column in rest):
        rest.remove(max(rest, key=lambda column: column.rank))
    return [Column(ALL_SETTINGS, tuple(texts), is_number=False, is_setting=True), *rest]


def total_width(columns: Sequence[Column]) -> int:
    """Return the characters that a table of columns takes."""
    return sum(column_width(column) + GAP for column in columns)


def column_width(column: Column) -> int:
    """Return the characters that a column needs; titles break between words and behind dots, cells do not."""
    if column.title == ALL_SETTINGS:
        return SETTINGS
    return max(cell_len(text) for text in (*re.split(r"[ \n]", heading(column)), *column.cells))


def heading(column: Column) -> str:
    """Return a title, with a line for each part of a setting's name."""
    if column.is_setting:
        return printable_text(column.title).replace(".", ".\n")
    return column.title.replace(", %", ",\u00a0%")


def terminal_table(layout: TableLayout, width: int) -> Group:
    """Build what rows share, the table, its notes, and what it means; columns that do not fit are named below it."""
    columns = fitting_columns(layout, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, GAP - 1, 0, 0))
    for column in columns:
        place: JustifyMethod = "right" if column.is_number else "left"
        spare = max(width - total_width(columns), 0) if column.title == ALL_SETTINGS else 0
        table.add_column(Text(heading(column)), justify=place, overflow="fold", width=column_width(column) + spare)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(printable_text(cell)) for cell in cells))
    notes = [Text(f"{number}  {printable_text(note)}", style="yellow") for number, note in enumerate(layout.notes, 1)]
    left_out = [column.title for column in layout.columns if column.rank and column not in columns]
    below = [Text(legend(layout), style="dim")]
    if left_out:
        below.append(Text(f"no room for: {', '.join(left_out)}; --format md has them", style="dim"))
    above = [Text(printable_text(layout.common))] if layout.common else []
    return Group(*above, table, *notes, *below)
