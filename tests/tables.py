"""Rich tables as a reader sees them, for tests."""

from io import StringIO

from rich.console import Console
from rich.table import Table


def text(table: Table, width: int = 120) -> str:
    writer = Console(file=StringIO(), width=width, force_terminal=False)
    with writer.capture() as capture:
        writer.print(table)
    return capture.get()


def cells(table: Table, width: int = 120) -> dict[str, list[str]]:
    """First cell of a line → its other cells, as a reader tells them apart: by two spaces."""
    lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text(table, width).splitlines()]
    return {line[0]: line[1:] for line in lines if line}
