"""Compare runs: a table of their scores over seeds, with intervals and paired differences."""

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from membrane.cli.answer import CommandParser
from membrane.errors import ConfigError, printable_text
from membrane.report.columns import lay_out
from membrane.report.differences import compare_rows
from membrane.report.flags import flag_rows
from membrane.report.formats import FORMATS, SUFFIXES
from membrane.report.html import render_page
from membrane.report.page_data import page_content
from membrane.report.recorded import gather_runs
from membrane.report.rows import ReportRow, group_runs
from membrane.report.terminal import console
from membrane.report.terminal_table import terminal_table
from membrane.runs.survey import survey

EXAMPLES = """for example:
  membrane report runs                                            a table on the terminal
  membrane report runs --baseline neuron=lif --format latex -o table.tex
  membrane report runs --html report.html                         a page with curves, to be opened in a browser
  membrane report runs --watch                                    the same page, while a sweep runs
  membrane report records --papers                                published numbers beside those that are recorded"""


def report_command(arguments: Sequence[str]) -> int:
    """Write the report that was asked for and return the exit code, 0."""
    options = report_parser().parse_args(arguments)
    baseline = dict(map(key_and_value, options.baseline))
    style = options.format or style_of(options.output)
    if options.papers:
        return report_papers(options.runs, style, options.output)
    if options.watch:
        return watch_report(options.runs, baseline, options.metric, options.evaluations)
    rows, unread = report_rows(options.runs, baseline, options.evaluations)
    unknown = [name for name in options.metric if not any(name in row.metrics for row in rows)]
    if unknown:
        scores = dict.fromkeys(name for row in rows for name in row.metrics)
        raise ConfigError(f"--metric {unknown[0]}: no run has it; they have {', '.join(scores)}")
    if options.html is not None:
        write_report(options.html, render_page(page_content(rows, options.metric, unread, options.html.parent)))
    for line in unread:
        print(f"membrane: {printable_text(line)}", file=sys.stderr)
    if style is None:
        screen = console()
        screen.print(terminal_table(lay_out(rows, options.metric), screen.width))
    else:
        write_report(options.output, FORMATS[style](rows, options.metric))
    return 0


def report_papers(folders: Sequence[Path], style: str | None, output: Path | None) -> int:
    """Write the tables of published numbers beside recorded ones, and return the exit code, 0."""
    from membrane.config.composer import conf_folder
    from membrane.papers.entry import read_entry
    from membrane.papers.registry import paper_rows
    from membrane.report.claims import TABLES

    if style not in (None, "md") or len(folders) > 1:
        raise ConfigError("--papers: name one folder of records; the tables are Markdown")
    unread: list[str] = []
    entries = [read_entry(folders[0], row, unread) for row in paper_rows(conf_folder() / "experiment")]
    if not any(entry.results for entry in entries):
        raise ConfigError(f"{folders[0]}: no row of a paper is recorded there; membrane reproduce --list names them")
    write_report(output, "\n".join(table(entries) for table in TABLES.values()))
    for line in unread:
        print(f"membrane: {printable_text(line)}", file=sys.stderr)
    return 0


def style_of(file: Path | None) -> str | None:
    """Return the format that a file's name says, Markdown by default, None without a file. Raises ConfigError else."""
    if file is None:
        return None
    if file.suffix and file.suffix not in (*SUFFIXES, ".txt"):
        raise ConfigError(f"-o {file}: expected {', '.join(SUFFIXES)}, or --format; --html {file.stem}.html is a page")
    return SUFFIXES.get(file.suffix, "md")


def report_rows(
    folders: Sequence[Path], baseline: dict[str, str], evaluations: bool, waiting: bool = False
) -> tuple[list[ReportRow], list[str]]:
    """Return the rows of a report and lines on what could not be read.

    Raises ConfigError if no finished run is the baseline, but where one may be ``waiting``: then a line says so.
    """
    gathered = gather_runs(folders, evaluations)
    rows = group_runs(gathered.runs)
    try:
        if baseline:
            compare_rows(rows, baseline)
    except ConfigError as error:
        if not waiting:
            raise
        gathered.unread.append(str(error))
    flag_rows(rows)
    return rows, gathered.unread


def watch_report(
    folders: Sequence[Path], baseline: dict[str, str], metrics: Sequence[str], evaluations: bool, port: int = 0
) -> int:
    """Serve the page on this machine until Ctrl-C, and return the exit code, 0."""
    from membrane.cli.report_server import PageServer, WatchedPage

    def make(state: str) -> str:
        rows, unread = report_rows(folders, baseline, evaluations, waiting=True)
        return render_page(page_content(rows, metrics, unread, None), state)

    with PageServer(WatchedPage(lambda: runs_state(folders), make), port) as server:
        print(f"{server.address} shows the report while runs go on; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def runs_state(folders: Sequence[Path]) -> str:
    """Return a digest of where all runs stand, which changes when one begins, ends an epoch, or ends."""
    runs = [run for folder in folders for run in survey(folder, time.time()).runs]
    standing = [(run.folder, run.status, run.completed, run.changed * (run.status != "running")) for run in runs]
    return hashlib.sha256(repr(standing).encode()).hexdigest()


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
    papers = "RUNS is a folder of records: published numbers beside recorded ones, by hand and under val_best"
    parser.add_argument("--papers", action="store_true", help=papers)
    parser.add_argument("--format", choices=FORMATS, help="default: by the name of FILE, else a table for the terminal")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page with curves, confusions and settings")
    parser.add_argument("--watch", action="store_true", help="serve the page on this machine while runs go on")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there instead of standard output")
    return parser
