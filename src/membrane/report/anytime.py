"""Scores over the number of timesteps, and where samples stop early, as a table and a line."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from membrane.scores import score_text

SHOWN = ("acc", "confidence", "mae", "loss")
PARTS = {"val": "validation", "train": "training (the run has no validation)"}


def anytime_table(curve: Mapping[str, Sequence[float]]) -> Table:
    """Build a row for each number of timesteps, with the scores that are shown of it."""
    names = [name for name in SHOWN if f"test/{name}" in curve]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("timesteps", *(f"test/{name}" for name in names)):
        table.add_column(title, justify="right", no_wrap=True)
    for row, steps in enumerate(curve["timesteps"]):
        table.add_row(str(steps), *(score_text(name, curve[f"test/{name}"][row]) for name in names))
    return table


def exit_line(early_exit: Mapping[str, Any]) -> str:
    """Return a line on the threshold that was chosen, and what it gives on the test set."""
    point, never = early_exit["test"], early_exit["test_never"]
    part = f"{early_exit['samples']} samples of {PARTS[early_exit['part']]}"
    whole = f"never: {never['passes']:.2f} passes a sample, test/acc {score_text('acc', never['acc'])}"
    if point["threshold"] is None:
        return f"early exit: none is as accurate on {part} as all timesteps; {whole}"
    gives = f"{point['passes']:.2f} passes a sample, test/acc {score_text('acc', point['acc'])}"
    return f"early exit at a margin of {point['threshold']:.4f}, chosen on {part}: {gives} ({whole})"
