"""The same recipe by hand in the authors' library, at our version of it: what it gave, recorded beside ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from membrane.papers.registry import PaperRow
from membrane.runs.saved import is_json_number, read_json, why_unreadable
from membrane.schema.paper import Number

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
                by_hand[int(seed)] = read_training(path)
            except (OSError, ValueError) as error:
                unread.append(f"{path}: {why_unreadable(error)}")
    return by_hand


def read_training(path: Path) -> dict[str, Any]:
    """Return what a training by hand gave. Raises ValueError if an accuracy is no number, and as `read_json`."""
    training = read_json(path)
    for name in get_args(Number):
        if not (training.get(name) is None or is_json_number(training[name])):
            raise ValueError(f"{name} is not a number")
    return training
