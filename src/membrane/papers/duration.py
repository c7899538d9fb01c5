"""The time of a whole training, as its recorded log tells it."""

import re
from datetime import datetime
from pathlib import Path

from membrane.files.regular import open_regular
from membrane.papers.record import LOG

STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ", re.MULTILINE)
FORM = "%Y-%m-%d %H:%M:%S,%f"


def logged_seconds(run: Path) -> float | None:
    """Return the seconds from a log's first record, when the data are read, to its last; None if it cannot tell.

    It cannot where a run was resumed: the time in between is not its own.
    """
    try:
        with open(run / LOG, encoding="utf-8", opener=open_regular) as file:
            text = file.read()
    except (OSError, ValueError):
        return None
    stamps = STAMP.findall(text)
    if len(stamps) < 2 or " resumed: " in text:
        return None
    first, last = (datetime.strptime(stamp, FORM) for stamp in (stamps[0], stamps[-1]))  # noqa: DTZ007 both of one clock
    return (last - first).total_seconds()
