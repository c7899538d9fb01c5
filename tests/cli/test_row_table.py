"""The table of `membrane reproduce --list`, on terminals of several widths."""

import io
import re
from pathlib import Path

import pytest
from paper_rows import result, row
from rich.console import Console

from membrane.cli import row_table
from membrane.cli.row_table import print_rows
from membrane.papers.entry import Entry
from membrane.papers.registry import PaperRow

ID = "spikingjelly/conv_fashion_mnist_small"


def printed(width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that a terminal of a width shows of a recorded row."""
    results = {"paper_best_on_test": {seed: result(**{"test/acc_best_oracle": 0.9012}) for seed in range(2)}}
    entry = Entry(PaperRow(ID, row().paper), Path("nowhere"), results, {})
    file = io.StringIO()
    screen = Console(file=file, width=width, force_terminal=True, no_color=True, highlight=False)
    monkeypatch.setattr(row_table, "console", lambda: screen)
    print_rows([entry])
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()


@pytest.mark.parametrize(
    ("width", "cells", "missing"),
    [
        (80, ["90.00 best epoch", "in band"], "by hand, val_best, band, ours"),
        (90, ["90.00 best epoch", "90.12 ± 0.00", "in band"], "by hand, val_best, band"),
        (160, ["90.00 best epoch", "90.12 ± 0.00", "85.00 to 95.00", "in band"], None),
    ],
)
def test_a_terminal_shows_whole_ids_and_names_the_columns_that_it_has_no_room_for(
    width: int, cells: list[str], missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(width, monkeypatch)
    (shown,) = (line for line in lines if ID in line)
    assert all(cell in shown for cell in cells)
    text = " ".join(line.strip() for line in lines)
    assert (f"no room for: {missing};" in text) if missing else ("no room for" not in text)
    assert max(map(len, lines)) <= width
