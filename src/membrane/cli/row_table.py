"""The table of papers' rows: published, ours, the band, by hand, as wide as the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from membrane.papers.entry import Entry
from membrane.report.claims import NUMBERS, band_text, mean_text, published_text
from membrane.report.terminal import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

CAPTION = "test accuracy in %; ours: mean ± standard deviation over seeds under the paper's protocol"
COLUMNS = ("id", "published", "ours", "band", "by hand", "val_best", "state")
DISPENSABLE = ("by hand", "val_best", "band", "ours")
"""Columns that a narrow terminal does without, the first one first."""


def print_rows(entries: Sequence[Entry]) -> None:
    """Print the table, and below it the columns that the terminal has no room for."""
    screen, left_out = wide_console(), list[str]()
    shown = rows_table(entries, left_out)
    while natural_width(screen, shown) > screen.width and len(left_out) < len(DISPENSABLE):
        left_out.append(DISPENSABLE[len(left_out)])
        shown = rows_table(entries, left_out)
    screen.print(shown)
    if left_out:
        screen.print(f"no room for: {', '.join(left_out)}; a wider window has them, and `… | less -S`", style="dim")


def wide_console() -> "Console":
    """Return the console; where it is no terminal, one wide enough that no id is folded and can be copied."""
    screen = console()
    if not screen.is_terminal:
        screen.width = 160
    return screen


def natural_width(screen: "Console", table: "Table") -> int:
    """Return the characters that a table takes if nothing in it is broken or cut."""
    from rich.measure import Measurement

    return Measurement.get(screen, screen.options.update(width=10_000), table).maximum


def rows_table(entries: Sequence[Entry], left_out: Sequence[str] = ()) -> "Table":
    """Build a row for each entry, with accuracies in percent, without the columns that are left out."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    shown = [name for name in COLUMNS if name not in left_out]
    for name in shown:
        justify: Literal["left", "right"] = "left" if name in ("id", "state") else "right"
        table.add_column(name, overflow="fold", no_wrap=True, justify=justify)
    for entry in entries:
        cells = row_cells(entry)
        table.add_row(*(cells[name] for name in shown))
    return table


def row_cells(entry: Entry) -> dict[str, str]:
    """Return what each column says of a row."""
    paper = entry.row.paper
    return {
        "id": entry.row.id,
        "published": f"{published_text(paper, paper.compared)} {NUMBERS[paper.compared]}",
        "ours": mean_text(entry.ours()),
        "band": band_text(paper),
        "by hand": mean_text(entry.hand()),
        "val_best": mean_text(entry.honest()),
        "state": entry.state(),
    }
