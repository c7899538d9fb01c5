"""Consoles without a terminal, and durations as text."""

from io import StringIO

import pytest

from membrane.report.tables import results_table
from membrane.report.terminal import clock_text, console, rough_duration


def test_where_there_is_no_terminal_tables_are_100_columns_of_plain_text() -> None:
    file = StringIO()
    writer = console(file)
    assert writer.width == 100
    writer.print(results_table({"test/acc": 0.5}))
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (80, "1:20"), (3725, "1:02:05"), (-1, "0:00"), (float("inf"), "?")]
)
def test_durations_read_like_a_clock(seconds: float, shown: str) -> None:
    assert clock_text(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (750, "12 min"), (3599, "59 min"), (7300, "2 h")],
)
def test_rough_durations_have_one_unit(seconds: float, shown: str) -> None:
    assert rough_duration(seconds) == shown
