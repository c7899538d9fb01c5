"""Durations as text: 45s, 10m, 1h30m."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\d+(?:\.\d+)?[smhd])+")


def duration_seconds(duration: str) -> float:
    """Return the seconds of ``1h30m``, ``10m``, ``45s`` or ``2d``. Raises ValueError for anything else."""
    if not DURATION.fullmatch(duration):
        raise ValueError(f"expected a time such as 45s, 10m or 1h30m, got {duration!r}")
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", duration))
