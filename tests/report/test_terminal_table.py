"""A report's table on terminals of several widths."""

import io
from pathlib import Path

import pytest
from reported_runs import PLIF, finished, right_answers, study
from rich.console import Console

from membrane.report.columns import lay_out
from membrane.report.differences import compare_rows
from membrane.report.flags import flag_rows
from membrane.report.recorded import gather_runs
from membrane.report.rows import group_runs
from membrane.report.terminal_table import fitting_columns, terminal_table


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_the_table_fits_and_names_what_has_no_room(tmp_path: Path, width: int) -> None:
    rows = group_runs(gather_runs([study(tmp_path)]).runs)
    compare_rows(rows, {"neuron": "relu"})
    flag_rows(rows)
    layout = lay_out(rows)
    screen = Console(file=io.StringIO(), width=width)
    screen.print(terminal_table(layout, width))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    for cell in (row.shown["neuron"] for row in rows):
        assert sum(line.startswith(cell) for line in lines) == 1, "a row is one line"
    missing = [column.title for column in layout.columns if column.rank and column.title.split()[0] not in text]
    assert missing == []
    assert ("no room for" in text) == (width < 140)
    assert " ± " in text
    assert "95 % over seeds" in " ".join(text.split())


def test_many_settings_stand_in_one_column(tmp_path: Path) -> None:
    names = [f"a_rather_long_setting{number}" for number in range(8)]
    for run in range(2):
        finished(tmp_path, f"f{run}", 0, right_answers(0.6, run), dict.fromkeys(names, run))
    layout = lay_out(group_runs(gather_runs([tmp_path]).runs))
    screen = Console(file=io.StringIO(), width=100)
    screen.print(terminal_table(layout, 100))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "settings" in text
    cells = " ".join(line[:44].strip() for line in text.splitlines())
    for run in range(2):
        assert ", ".join(f"{name} {run}" for name in names) in cells


def test_a_narrower_terminal_leaves_out_costs_before_intervals(tmp_path: Path) -> None:
    rows = group_runs(gather_runs([study(tmp_path)]).runs)
    compare_rows(rows, {"neuron": "relu"})
    layout = lay_out(rows)
    left_out: list[str] = []
    for width in range(300, 80, -1):
        shown = {column.title for column in fitting_columns(layout, width)}
        left_out += [each.title for each in layout.columns if each.title not in {*shown, *left_out}]
    assert left_out == ["passes", "parameters", "fit time", "rate, %", "95 % of samples", "95 % over seeds"]


def test_notes_are_numbered_as_the_rows_refer_to_them(tmp_path: Path) -> None:
    runs = study(tmp_path)
    finished(runs, "f1", 3, right_answers(0.6, 3), PLIF)
    rows = group_runs(gather_runs([runs]).runs)
    flag_rows(rows)
    screen = Console(file=io.StringIO(), width=200)
    screen.print(terminal_table(lay_out(rows), 200))
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    assert [line.rstrip() for line in lines if "missing" in line] == ["1  seed missing: 3"]
    marks = {line.split()[0]: line.split()[-1] for line in lines if line.startswith(("lif", "relu"))}
    assert marks == {"lif": "1", "relu": "1"}
