"""A run's results as a table for the terminal and the log."""

import math
from collections.abc import Mapping

from rich import box
from rich.table import Table

from membrane.scores import SCORES, score_text

NORMAL_95 = 1.959964
"""The 97.5 % point of the normal distribution: 95 % lie within so many standard deviations."""

CAPTION = "±: half of the 95 % interval that so many samples leave"


def results_table(metrics: Mapping[str, float], samples: Mapping[str, int] | None = None) -> Table:
    """Build a row for each metric, a column for each part (val, test, test_last …) of ``part/metric`` keys.

    Proportions are in percent; those counted over samples (``acc``, ``top5``) with the half-width of their 95 % Wilson
    score interval where ``samples`` gives the size of the part (``test_last`` falls back to ``test``).
    """
    cells = {tuple(key.rpartition("/")[::2]): value for key, value in metrics.items()}
    usual = dict.fromkeys(("val", "oracle", "test", "test_last"))
    present = dict.fromkeys(part for part, _ in cells)
    parts = [part for part in usual | present if part in present]
    caption = CAPTION if samples and any(is_counted(name) for _, name in cells) else None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("metric", overflow="fold")
    for part in parts:
        table.add_column(part or "run", justify="right", no_wrap=True)
    for name in dict.fromkeys(name for _, name in cells):
        sizes = [(samples or {}).get(part) or (samples or {}).get(part.removesuffix("_last")) for part in parts]
        values = [cells.get((part, name)) for part in parts]
        pairs = zip(values, sizes, strict=True)
        table.add_row(name, *("" if value is None else metric_text(name, value, size) for value, size in pairs))
    return table


def metric_text(name: str, value: float, samples: int | None = None) -> str:
    """Return ``94.17 ± 2.42 %`` for a share of ``samples``, ``94.17 %`` for another fraction, else four decimals."""
    if samples and is_counted(name):
        return f"{value * 100:.2f} ± {wilson_half_width(value, samples) * 100:.2f} %"
    return str(value) if isinstance(value, int) else score_text(name, value)


def is_counted(name: str) -> bool:
    """Return whether a score is a share of samples, such as accuracy."""
    return name in SCORES and SCORES[name].counted


def wilson_half_width(proportion: float, samples: int) -> float:
    """Return half the width of the 95 % score interval of a binomial proportion (Wilson 1927, eq. for z = 1.96)."""
    z = NORMAL_95
    spread = proportion * (1 - proportion) / samples + z**2 / (4 * samples**2)
    return z / (1 + z**2 / samples) * math.sqrt(spread)
