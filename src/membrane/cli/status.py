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
from membrane.errors import ConfigError, printable_text
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
"""The order of runs on a screen that is too small for all."""
HEADER = ("run", "status", "epochs", "test", "left")
ROOM = 30
"""Columns that a remark needs to stand behind the others."""
LONGEST_REMARK = 2000
"""Characters of a remark that are shown, at most."""
LOOKS = 3
"""So many surveys in a row that find nothing running end a watch: a sweep needs a moment between two jobs."""


def status_command(arguments: Sequence[str]) -> int:
    """Show where runs stand and return the exit code: 1 if one of them failed, is damaged or cannot be read."""
    options = status_parser().parse_args(arguments)
    if not options.runs.is_dir():
        raise ConfigError(f"{options.runs}: no such folder; name one that holds runs")
    if options.watch:
        return watch_runs(options.runs)
    current = survey(options.runs, time.time())
    if options.json:
        print(json.dumps([run_as_json(run) for run in current.runs], indent=2, allow_nan=False))
        for line in current.unread:
            print(f"membrane: {printable_text(line)}", file=sys.stderr)
    else:
        screen = console()
        screen.print(status_page(current, screen.width))
    return survey_exit_code(current)


def status_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("status", __doc__, "for example: membrane status runs --watch")
    help_of_runs = "a run's folder, or one that holds runs (default: runs)"
    parser.add_argument("runs", metavar="RUNS", nargs="?", default=Path("runs"), type=Path, help=help_of_runs)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="draw the table anew until nothing runs, or Ctrl-C")
    how.add_argument("--json", action="store_true", help="print a list of runs for programs")
    return parser


def run_as_json(run: Run) -> dict[str, Any]:
    """Return a run for JSON, which has no NaN: null stands for it."""
    metrics = {name: value if math.isfinite(value) else None for name, value in run.metrics.items()}
    return {**dataclasses.asdict(run), "metrics": metrics}


def survey_exit_code(current: Survey) -> int:
    """Return 1 if a run failed or is damaged, or something there could not be read, else 0."""
    return 1 if current.of("failed", "damaged") or current.unread else 0


def watch_runs(runs: Path, interval: float = 2.0, onto: "Console | None" = None) -> int:
    """Draw the page anew every ``interval`` seconds until nothing runs or Ctrl-C; return the exit code."""
    from rich.live import Live

    screen = onto or console()
    idle = 0
    with Live(console=screen, auto_refresh=False) as live:
        try:
            while True:
                current = survey(runs, time.time())
                live.update(
                    status_page(current, screen.width, screen.height if screen.is_terminal else None), refresh=True
                )
                idle = 0 if current.of("running") else idle + 1
                if idle == LOOKS or not current.of("running", "missing", "stopped", "broken off"):
                    return survey_exit_code(current)
                time.sleep(interval)
        except KeyboardInterrupt:
            return 0


def status_page(current: Survey, width: int, room: int | None = None) -> "RenderableType":
    """Build the table, what could not be read, and the summary; in ``room`` lines, if set, of the most urgent runs."""
    from rich.console import Group
    from rich.text import Text

    runs, below = current.runs, [Text(printable_text(line), style="red") for line in current.unread]
    common = common_overrides(runs)
    above = [Text(line) for line in wrap(printable_text(f"all runs: {' '.join(common)}"), width)] if common else []
    fit = None if room is None else max(room - len(above) - len(below) - 5, 1)
    if fit is not None and len(runs) > fit:
        below.append(Text(f"and {len(runs) - fit} more"))
        runs = sorted(runs, key=lambda run: URGENT.index(run.status))[:fit]  # sorting keeps the order within each
    below.append(Text(survey_summary(current)))
    table = [runs_table(runs, width, one_line=room is not None, common=common)] if runs else []
    return Group(*above, *table, *below)


def common_overrides(runs: Sequence[Run]) -> list[str]:
    """Return the overrides that all of several runs were started with; none if those of one are unknown."""
    overrides = [run.overrides for run in runs if run.overrides is not None]
    if len(overrides) < max(len(runs), 2):
        return []
    return [word for word in overrides[0] if all(word in words for words in overrides)]


def runs_table(runs: Sequence[Run], width: int, one_line: bool = False, common: Sequence[str] = ()) -> "Segments":
    """Build a row for each run, its remark wrapped, or, with ``one_line``, left for the console to crop.

    Overrides that are ``common`` to all are left out.
    Laid out here, as rich's own table would be: that takes a millisecond a row, and there may be thousands.
    """
    from rich.cells import cell_len
    from rich.segment import Segment, Segments
    from rich.style import Style

    rows = [
        HEADER,
        *(
            (printable_text(run.folder), run.status, epochs_text(run), score_cell(run), time_left_text(run))
            for run in runs
        ),
    ]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    begin = sum(widths) + 2 * len(widths)
    texts = [run_remark(run, common) for run in runs]
    remarks = [[""], *([text] if one_line else remark_lines(text, begin, width) for text in texts)]
    styles = ["bold", *("yellow" if run.silent else STYLES.get(run.status, "") for run in runs)]
    drawn = []
    for (name, status, *numbers), lines, style in zip(rows, remarks, styles, strict=True):
        behind = [f"{each:>{size}}  " for each, size in zip(numbers, widths[2:], strict=True)]
        drawn.append(Segment(name + " " * (widths[0] - cell_len(name) + 2)))
        drawn.append(Segment(f"{status:<{widths[1]}}  ", Style.parse(style)))
        drawn.append(Segment("".join([*behind, "\n".join(lines), "\n"])))
    drawn.insert(3, Segment("─" * min(begin + ROOM, width) + "\n"))
    return Segments(drawn)


def remark_lines(text: str, begin: int, width: int) -> list[str]:
    """Wrap a remark: the part behind the other columns, which take ``begin``, and the lines below it."""
    if begin + ROOM > width:
        return ["", *wrap(text, width - 4, initial_indent=" " * 4, subsequent_indent=" " * 4)]
    first, *more = wrap(text, width - begin) or [""]
    return [first, *(" " * begin + line for line in more)]


def epochs_text(run: Run) -> str:
    """Return ``3/20`` for 3 completed epochs; the number alone of a finished run, which may have ended early."""
    if run.status == "finished":
        return str(run.completed)
    if run.completed is None:
        return f"–/{run.epochs or '?'}" if run.status == "running" else ""
    return f"{run.completed}/{run.epochs or '?'}"


def time_left_text(run: Run) -> str:
    """Return ``1:20``, nothing if the time is unknown."""
    return "" if run.left is None else clock_text(run.left)


def score_cell(run: Run) -> str:
    """Return ``acc 94.17 %`` or ``mae 41.2345``, nothing for a run without a score."""
    score = run.score()
    return "" if score is None else f"{score[0]} {score_text(*score)}"


def run_remark(run: Run, common: Sequence[str] = ()) -> str:
    """Return what else a person should know of a run: who runs it, why it ended, what is damaged, its overrides.

    Of the overrides only those that are not ``common`` to all runs.
    """
    parts = list(run.damaged)
    if run.status == "running":
        parts += [sign_of_life(run), run.process or ""]
    parts += [each for each in (run.ended, run.error) if each]
    if run.status in ("stopped", "broken off"):
        parts.append("starting it again resumes it" if run.status == "stopped" else "starting it again begins anew")
    parts.append(" ".join(word for word in run.overrides or () if word not in common))
    return printable_text("; ".join(each for each in parts if each)[:LONGEST_REMARK])


def sign_of_life(run: Run) -> str:
    """Return when a running run last wrote something."""
    age = run.age or 0.0
    if run.silent:
        return f"silent for {rough_duration(age)}"
    return (
        f"no row for {rough_duration(age)}" if run.completed is None else f"last sign of life {rough_duration(age)} ago"
    )


def survey_summary(current: Survey) -> str:
    """Return ``12 finished, 2 running, 1 failed, 3 missing; about 1:20 left``."""
    counts = Counter(run.status for run in current.runs)
    silent = sum(run.silent for run in current.runs)
    parts = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
    parts = [f"{each} ({silent} silent)" if silent and each.endswith("running") else each for each in parts]
    left = current.left()
    return (", ".join(parts) or "no runs") + ("" if left is None else f"; about {clock_text(left)} left")
