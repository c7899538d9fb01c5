"""Compare runs: a table of their scores over seeds, with intervals and paired differences."""

import sys
from collections.abc import Sequence
from pathlib import Path

from membrane.cli.answer import CommandParser
from membrane.errors import ConfigError, printable_text
from membrane.report.columns import lay_out
from membrane.report.differences import compare_rows
from membrane.report.flags import flag_rows
from membrane.report.formats import FORMATS, SUFFIXES
from membrane.report.recorded import gather_runs
from membrane.report.rows import ReportRow, group_runs
from membrane.report.terminal import console

EXAMPLES = """for example:
  membrane report runs                                            a table on the terminal
  membrane report runs --baseline neuron=lif --format latex -o table.tex"""


def report_command(arguments: Sequence[str]) -> int:
    """Write the report that was asked for and return the exit code, 0."""
    options = report_parser().parse_args(arguments)
    baseline = dict(map(key_and_value, options.baseline))
    rows, unread = report_rows(options.runs, baseline, options.evaluations)
    unknown = [name for name in options.metric if not any(name in row.metrics for row in rows)]
    if unknown:
        scores = dict.fromkeys(name for row in rows for name in row.metrics)
        raise ConfigError(f"--metric {unknown[0]}: no run has it; they have {', '.join(scores)}")
    for line in unread:
        print(f"membrane: {printable_text(line)}", file=sys.stderr)
    style = (
        options.format or (options.output and SUFFIXES.get(options.output.suffix)) or ("md" if options.output else None)
    )
    if style is None:
        from membrane.report.terminal_table import terminal_table

        screen = console()
        screen.print(terminal_table(lay_out(rows, options.metric), screen.width))
        return 0
    text = FORMATS[style](rows, options.metric)
    write_report(options.output, text)
    return 0


def report_rows(
    folders: Sequence[Path], baseline: dict[str, str], evaluations: bool
) -> tuple[list[ReportRow], list[str]]:
    """Return the rows of a report and lines on what could not be read."""
    gathered = gather_runs(folders, evaluations)
    rows = group_runs(gathered.runs)
    if baseline:
        compare_rows(rows, baseline)
    flag_rows(rows)
    return rows, gathered.unread


def write_report(file: Path | None, text: str) -> None:
    """Write a file, whole or not at all, or standard output if there is none. Raises ConfigError if that fails."""
    from membrane.files.durable import write_whole

    if file is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(file, lambda opened: opened.write(text.encode()))
    except OSError as error:
        raise ConfigError(f"-o {file}: {error.strerror}") from None


def key_and_value(text: str) -> tuple[str, str]:
    """Return what stands on both sides of ``=``. Raises ConfigError if there is none."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--baseline {text}: write a setting and its value, as in neuron=lif")
    return key.strip(), value.strip()


def report_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("report", __doc__, EXAMPLES)
    parser.add_argument("runs", metavar="RUNS", nargs="+", type=Path, help="run folders, or folders that hold runs")
    parser.add_argument(
        "--baseline",
        metavar="K=V",
        action="append",
        default=[],
        help="the row that others are compared with; may be repeated",
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        default=[],
        help="show this score too, such as test/f1; may be repeated",
    )
    parser.add_argument("--evaluations", action="store_true", help="rows for what `membrane evaluate` measured, too")
    parser.add_argument("--format", choices=FORMATS, help="default: by the name of FILE, else a table for the terminal")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there instead of standard output")
    return parser
