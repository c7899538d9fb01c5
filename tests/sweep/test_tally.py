"""The counts of a sweep's jobs: the line and the exit code that they give."""

import pytest

from membrane.sweep.tally import Tally


@pytest.mark.parametrize(
    ("tally", "line", "code"),
    [
        (Tally(), "sweep: 0 finished, 0 failed", 0),
        (Tally(finished_before=5), "sweep: 5 finished before, 0 failed", 0),
        (Tally(2, finished_before=3), "sweep: 2 finished, 3 finished before, 0 failed", 0),
        (Tally(2, elsewhere=1), "sweep: 2 finished, 0 failed, 1 run by another process", 0),
        (Tally(3, pruned=1), "sweep: 3 finished, 0 failed, 1 pruned", 0),
        (Tally(3, failed=1, stopped=1), "sweep: 3 finished, 1 failed, 1 stopped", 1),
        (Tally(3, stopped=1), "sweep: 3 finished, 0 failed, 1 stopped", 75),
    ],
)
def test_counts_as_a_line_and_an_exit_code(
    tally: Tally, line: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "membrane"):
        tally.log_counts()
    assert caplog.messages == [line]
    assert tally.exit_code() == code
