"""Durations as text."""

import pytest

from membrane.schema.duration import duration_seconds


@pytest.mark.parametrize(
    ("text", "expected"), [("45s", 45), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800), ("1m30s", 90)]
)
def test_times(text: str, expected: float) -> None:
    assert duration_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "1h30", "ten"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as 45s, 10m or 1h30m"):
        duration_seconds(text)
