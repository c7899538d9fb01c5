"""What may be printed of a run."""

import os

import pytest

from membrane.runs.visibility import HIDE_TEST, hidden_test_scores, printable

METRICS = {"val/acc": 0.9, "test/acc": 0.8, "test_last/acc": 0.7, "oracle/loss": 0.6}


def test_a_search_hides_the_test_set_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HIDE_TEST, raising=False)
    assert printable(METRICS) == METRICS
    with hidden_test_scores():
        assert printable(METRICS) == {"val/acc": 0.9}
    assert printable(METRICS) == METRICS
    monkeypatch.setenv(HIDE_TEST, "1")
    with pytest.raises(ZeroDivisionError), hidden_test_scores():
        raise ZeroDivisionError
    assert os.environ[HIDE_TEST] == "1"
