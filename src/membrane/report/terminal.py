"""The terminal as a rich console, and durations as text."""

import math
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def console(file: TextIO | None = None) -> "Console":
    """Return a console on ``file`` (default: standard output): 100 columns of plain text if that is no terminal."""
    from rich.console import Console

    on_file = Console(file=file)
    return on_file if on_file.is_terminal else Console(file=file, width=100)


def clock_text(seconds: float) -> str:
    """Return 80 as ``1:20``, 3725 as ``1:02:05``, infinity as ``?`` and a negative duration as ``0:00``."""
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(max(round(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def rough_duration(seconds: float) -> str:
    """Return 40 as ``40 s``, 750 as ``12 min`` and 7300 as ``2 h``."""
    unit, size = next(((unit, size) for unit, size in (("h", 3600), ("min", 60)) if seconds >= size), ("s", 1))
    return f"{seconds // size:.0f} {unit}"


def size_text(size: int | None) -> str:
    """Return 11_594_722 bytes as ``11.6 MB``, none as ``–`` and what is not known as ``?``."""
    if not size:
        return "?" if size is None else "–"
    unit, factor = next(((unit, factor) for unit, factor in (("GB", 1e9), ("MB", 1e6)) if size >= factor), ("kB", 1e3))
    return f"{size / factor:.3g} {unit}"
