"""The same recipe by hand in the authors' library, at our version of it: what it gave, recorded beside ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane.papers.registry import PaperRow
from membrane.runs.saved import read_json, why_unreadable

BY_HAND = "by_hand"
"""The folder of a record with ``seed<k>.json``, which the scripts of scripts/by_hand write."""

ByHand = Mapping[int, Mapping[str, Any]]
"""Seed → what a training by hand gave: ``best``, ``last`` and ``mean_last10`` on the test set, ``seconds``."""


def read_by_hand(records: Path, row: PaperRow, unread: list[str]) -> dict[int, dict[str, Any]]:
    """Return what trainings by hand gave, by seed; a line on each that cannot be read is added to ``unread``."""
    by_hand: dict[int, dict[str, Any]] = {}
    for path in sorted((records / row.id / BY_HAND).glob("seed*.json")):
        seed = path.stem.removeprefix("seed")
        if seed.isdecimal():
            try:
                by_hand[int(seed)] = read_json(path)
            except (OSError, ValueError) as error:
                unread.append(f"{path}: {why_unreadable(error)}")
    return by_hand
