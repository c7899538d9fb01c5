"""Which numbers of a run may be printed: the trials of a search show validation alone, or it would not stay blind."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

HIDE_TEST = "MEMBRANE_HIDE_TEST"
"""The environment variable under which runs print nothing of the test set; processes started here inherit it."""


@contextmanager
def hidden_test_scores() -> Iterator[None]:
    """Let runs of the block, in this process or in its children, print nothing of the test set."""
    before = os.environ.get(HIDE_TEST)
    os.environ[HIDE_TEST] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[HIDE_TEST]
        else:
            os.environ[HIDE_TEST] = before


def printable(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that may be printed: all of them, or those that are not of the test set."""
    of_test = ("test/", "test_last/", "oracle/") if os.environ.get(HIDE_TEST) else ()
    return {name: value for name, value in metrics.items() if not name.startswith(of_test)}
