"""Show which runs are finished, running, failed or missing, and how long is left."""

import dataclasses
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from membrane.cli.answer import CommandParser
from membrane.errors import ConfigError
from membrane.report.terminal import clock_text, console, rough_duration
from membrane.runs.standing import Run
from membrane.runs.survey import Survey, survey
from membrane.scores import score_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.segment import Segments

STATUSES = ("finished", "running", "failed", "damaged", "stopped", "broken off", "pruned", "missing")
STYLES = {"finished": "green", "running": "cyan", "failed": "red", "damaged": "red", "missing": "yellow"}
URGENT = ("running", "failed", "damaged", "stopped", "broken off", "missing", "pruned", "finished")
"""What a screen that is too small for all shows first."""
HEADER = ("run", "status", "epochs", "test", "left")
ROOM = 30
"""Columns that a remark needs to stand behind the others."""
LOOKS = 3
"""So many looks in a row may find nothing running before a watch ends: a sweep needs a moment between two jobs."""


def status_command(arguments: Sequence[str]) -> int:
    """Show where runs stand and return the exit code: 1 if one of them failed or is damaged."""
    asked = status_parser().parse_args(arguments)
    if not asked.runs.is_dir():
        raise ConfigError(f"{asked.runs}: no such folder; name one that holds runs, such as runs")
    if asked.watch:
        return watch(asked.runs)
    found = survey(asked.runs, time.time())
    if asked.json:
        print(json.dumps([plain(run) for run in found.runs], indent=2, allow_nan=False))
        for line in found.unread:
            print(f"membrane: {line}", file=sys.stderr)
    else:
        screen = console()
        screen.print(page(found, screen.width))
    return code(found)


def status_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("status", __doc__, "for example: membrane status runs --watch")
    parser.add_argument("runs", metavar="RUNS", type=Path, help="a run's folder, or one that holds runs")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="draw the table anew until nothing runs, or Ctrl-C")
    how.add_argument("--json", action="store_true", help="print a list of runs for programs")
    return parser


def plain(run: Run) -> dict[str, Any]:
    """A run for JSON, which knows no NaN: null stands for it."""
    metrics = {name: value if math.isfinite(value) else None for name, value in run.metrics.items()}
    return {**dataclasses.asdict(run), "metrics": metrics}


def code(found: Survey) -> int:
    """The exit code of what was found."""
    return 1 if found.of("failed", "damaged") else 0


def watch(runs: Path, interval: float = 2.0, onto: "Console | None" = None) -> int:
    """Draw the page anew every ``interval`` seconds until nothing runs or Ctrl-C."""
    from rich.live import Live

    screen = onto or console()
    idle = 0
    with Live(console=screen, auto_refresh=False) as live:
        try:
            while True:
                found = survey(runs, time.time())
                live.update(page(found, screen.width, screen.height if screen.is_terminal else None), refresh=True)
                idle = 0 if found.of("running") else idle + 1
                if idle == LOOKS or not found.of("running", "missing", "stopped", "broken off"):
                    return code(found)
                time.sleep(interval)
        except KeyboardInterrupt:
            return 0


def page(found: Survey, width: int, room: int | None = None) -> "RenderableType":
    """The table, what could not be read, and the summary; in ``room`` lines, if said, the most urgent runs alone."""
    from rich.console import Group
    from rich.text import Text

    runs, below = found.runs, [Text(line, style="red") for line in found.unread]
    fit = None if room is None else max(room - len(below) - 5, 1)
    if fit is not None and len(runs) > fit:
        below.append(Text(f"and {len(runs) - fit} more"))
        runs = sorted(runs, key=lambda run: URGENT.index(run.status))[:fit]  # sorting keeps the order within each
    below.append(Text(summary(found)))
    return Group(*([runs_table(runs, width, one_line=room is not None)] if runs else []), *below)


def runs_table(runs: Sequence[Run], width: int, one_line: bool = False) -> "Segments":
    """A row for each run, its remark wrapped, or, in ``one_line``, left for the console to crop.

    Laid out here, as rich's own table would be: that takes a millisecond a row, and there may be thousands.
    """
    from rich.cells import cell_len
    from rich.segment import Segment, Segments
    from rich.style import Style

    rows = [HEADER, *((run.folder, run.status, epochs(run), score(run), left(run)) for run in runs)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    begin = sum(widths) + 2 * len(widths)
    remarks = [[""], *([remark(run)] if one_line else placed(remark(run), begin, width) for run in runs)]
    styles = ["bold", *("yellow" if run.silent else STYLES.get(run.status, "") for run in runs)]
    drawn = []
    for (name, status, *numbers), said, style in zip(rows, remarks, styles, strict=True):
        behind = [f"{each:>{size}}  " for each, size in zip(numbers, widths[2:], strict=True)]
        drawn.append(Segment(name + " " * (widths[0] - cell_len(name) + 2)))
        drawn.append(Segment(f"{status:<{widths[1]}}  ", Style.parse(style)))
        drawn.append(Segment("".join([*behind, "\n".join(said), "\n"])))
    drawn.insert(3, Segment("─" * min(begin + ROOM, width) + "\n"))
    return Segments(drawn)


def placed(said: str, begin: int, width: int) -> list[str]:
    """A remark's lines: what stands behind the other columns, which take ``begin``, and the lines below it."""
    if begin + ROOM > width:
        return ["", *wrap(said, width - 4, initial_indent=" " * 4, subsequent_indent=" " * 4)]
    first, *more = wrap(said, width - begin) or [""]
    return [first, *(" " * begin + line for line in more)]


def epochs(run: Run) -> str:
    """Return ``3/20`` for 3 completed epochs; the number alone of a finished run, which may have ended early."""
    if run.status == "finished":
        return str(run.completed)
    if run.completed is None:
        return f"–/{run.epochs or '?'}" if run.status == "running" else ""
    return f"{run.completed}/{run.epochs or '?'}"


def left(run: Run) -> str:
    """``1:20``."""
    return "" if run.left is None else clock_text(run.left)


def score(run: Run) -> str:
    """``acc 94.17 %`` or ``mae 41.2345``."""
    found = run.score()
    if found is None:
        return ""
    name, value = found
    return f"{name} {score_text(name, value)}"


def remark(run: Run) -> str:
    """What a person should know of a run: who works at it, why it failed, what is damaged, what it is."""
    said = list(run.damaged)
    if run.status == "running":
        said += [life(run), run.process or ""]
    if run.error:
        said.append(run.error)
    if run.status in ("stopped", "broken off"):
        said.append("starting it again resumes it" if run.status == "stopped" else "starting it again begins anew")
    if run.overrides:
        said.append(" ".join(run.overrides))
    return "".join(sign if sign.isprintable() else " " for sign in "; ".join(each for each in said if each))


def life(run: Run) -> str:
    """When a running run last gave a sign of life."""
    age = run.age or 0.0
    if run.silent:
        return f"silent for {rough_duration(age)}"
    return (
        f"no row for {rough_duration(age)}" if run.completed is None else f"last sign of life {rough_duration(age)} ago"
    )


def summary(found: Survey) -> str:
    """``12 finished, 2 running, 1 failed, 3 missing; about 1:20 left``."""
    counts = Counter(run.status for run in found.runs)
    silent = sum(run.silent for run in found.runs)
    said = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
    said = [f"{each} ({silent} silent)" if silent and each.endswith("running") else each for each in said]
    left = found.left()
    return (", ".join(said) or "no runs") + ("" if left is None else f"; about {clock_text(left)} left")
