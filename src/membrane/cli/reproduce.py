"""Train what a paper trained, and set its number beside ours."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from membrane.cli.answer import CommandParser
from membrane.cli.row_settings import refuse_idle_options, refuse_other_row, refuse_several_runs
from membrane.cli.row_table import print_rows
from membrane.cli.writable import require_writable
from membrane.config.composer import Composer, conf_folder
from membrane.config.messages import nearest
from membrane.errors import ConfigError, RunFailed, printable_text
from membrane.files.regular import Irregular
from membrane.papers.by_hand import read_by_hand
from membrane.papers.entry import HONEST, Entry, read_entry
from membrane.papers.record import write_record
from membrane.papers.registry import PaperRow, paper_rows
from membrane.report.record_pages import write_record_pages
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import RunFolder
from membrane.runs.saved import RESULT, read_result
from membrane.schema import Config

PROTOCOLS = ("val_best", "last", "paper_best_on_test")
QUICK = ("debug.batches=5", "epochs=1", "seed=0", "figures=false")
"""Settings of a run that shows whether a row trains here, and leaves no result."""
EXAMPLES = """for example:
  membrane reproduce --list
  membrane reproduce seq_fmnist/plain --quick
  membrane reproduce seq_fmnist/plain --seeds 0,1,2 paths.runs=runs/papers
  membrane reproduce --repeat records/seq_fmnist/plain/val_best/seed0     the same numbers again?"""


def reproduce_command(arguments: Sequence[str]) -> int:
    """List the rows, or train one under the paper's protocol and val_best, and return the exit code."""
    parser = reproduce_parser()
    options = parser.parse_intermixed_args(arguments)
    refuse_idle_options(options)
    rows = paper_rows(conf_folder() / "experiment")
    if options.list:
        return list_rows(rows_named(rows, options.id) if options.id else rows, options.records)
    if options.redraw:
        return redraw([require_row(rows, options.id)] if options.id else rows, options.records)
    if options.id is None:
        if arguments:
            raise ConfigError("name what to train: a row, as --list has them, or with --repeat a recorded folder")
        parser.print_help()
        return 0
    if options.repeat:
        from membrane.cli.repeat import repeat

        return repeat(Path(options.id), options.settings)
    row = require_row(rows, options.id)
    refuse_other_row(row.id, options.settings)
    if options.quick:
        return train_row([f"experiment={row.id}", *QUICK, *options.settings])
    return reproduce(row, options)


def reproduce_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("reproduce", __doc__, EXAMPLES)
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        help="a row, as --list names it, or several, as --list plif; with --repeat a folder",
    )
    parser.add_argument("settings", metavar="SETTING=VALUE", nargs="*", help="of all its runs, such as paths.runs=DIR")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--list", action="store_true", help="list the rows: published, ours, the band, whether it holds"
    )
    instead.add_argument("--quick", action="store_true", help="train a few batches of one seed: does it run here?")
    parser.add_argument("--seeds", metavar="0,1,…", type=seeds_of, help="default: as many as the row asks for")
    protocol = "train under one protocol alone; default: the paper's and val_best"
    parser.add_argument("--protocol", choices=PROTOCOLS, help=protocol)
    records = "where recorded results lie, and where --record puts them (default: records)"
    parser.add_argument("--records", metavar="DIR", type=Path, default=Path("records"), help=records)
    copied = (
        "copy each seed's result, curves, log, configuration and provenance there, and draw the row's table and figure"
    )
    instead.add_argument("--record", action="store_true", help=copied)
    drawn = "train nothing; draw table.md and figure.png of ID, or of all rows, from what is recorded"
    instead.add_argument("--redraw", action="store_true", help=drawn)
    again = "train the run in the recorded folder ID again, and compare every number with the record's"
    instead.add_argument("--repeat", action="store_true", help=again)
    return parser


def seeds_of(text: str) -> list[int]:
    """Return the seeds of ``0,1,2``. Raises ArgumentTypeError for anything else."""
    if not all(part.isdecimal() for part in text.split(",")):
        raise ArgumentTypeError(f"{text}: expected whole numbers from 0 as 0,1,2")
    return sorted({int(part) for part in text.split(",")})


def rows_named(rows: Sequence[PaperRow], name: str) -> list[PaperRow]:
    """Return the row of an id, or those of a folder of rows. Raises ConfigError if there is none."""
    return [row for row in rows if row.id.startswith(f"{name.rstrip('/')}/")] or [require_row(rows, name)]


def require_row(rows: Sequence[PaperRow], name: str) -> PaperRow:
    """Return the row of an id. Raises ConfigError if there is none."""
    by_id = {row.id: row for row in rows}
    if name not in by_id:
        near = nearest(name, by_id) or ";"
        raise ConfigError(f"{name}: no row of a paper{near} membrane reproduce --list shows them")
    return by_id[name]


def reproduce(row: PaperRow, options: Namespace) -> int:
    """Train a row's seeds under the protocols, print what they gave, and return the exit code of training."""
    refuse_several_runs(row.id, options.settings)
    changed, typed = changes_the_row(row, options.settings), " ".join(options.settings)
    if changed and options.record:
        raise ConfigError(
            f"{typed}: a record is of {row.id} as its file has it; leave out --record, or what changes it"
        )
    if options.record:
        require_writable(f"--records {options.records}", options.records / row.id)
    seeds = options.seeds or list(range(row.paper.seeds))
    protocols = [options.protocol] if options.protocol else list(dict.fromkeys([row.paper.protocol, HONEST]))
    print(plan_line(row, protocols, len(seeds)))
    results, code = dict[str, dict[int, dict[str, object]]](), 0
    for protocol in protocols:
        settings = [f"experiment={row.id}", f"protocol={protocol}", *options.settings]
        code = train_row(["-m", *settings, f"seed={','.join(map(str, seeds))}"])
        if code:
            return code
        runs = seed_folders(settings, seeds)
        require_results(runs)
        for seed, run in runs.items():
            results.setdefault(protocol, {})[seed] = read_result(run)
            if options.record:
                with failures_explained(options.records):
                    write_record(options.records, row, protocol, seed, run)
    if options.record:
        with failures_explained(options.records):
            write_record_pages(options.records, row)
        print(f"recorded in {options.records / row.id}")
    unread: list[str] = []
    by_hand = read_by_hand(options.records, row, unread)
    print_rows([Entry(row, options.records / row.id, results, by_hand)])
    print_unread(unread)
    if changed:
        print(f"not {row.id} as its file has it, so the band says nothing of it: {typed}")
    return code


def list_rows(rows: Sequence[PaperRow], records: Path) -> int:
    """Print the table of rows and what is recorded of them, and return the exit code, 0."""
    unread = [] if records.is_dir() else [no_records_line(records)]
    print_rows([read_entry(records, row, unread) for row in rows])
    print_unread(unread)
    return 0


def no_records_line(records: Path) -> str:
    """Return what to say where there is no folder of records."""
    return f"{records}: no such folder, so nothing is shown as recorded; --records DIR names that of a clone"


def plan_line(row: PaperRow, protocols: Sequence[str], seeds: int) -> str:
    """Return how many trainings a row takes, and how long one is expected to."""
    cpu, gpu = row.paper.minutes.cpu, row.paper.minutes.gpu
    times = [f"{minutes:g} min on {where}" for minutes, where in ((cpu, "two cores"), (gpu, "a GPU")) if minutes]
    expected = f", each about {' or '.join(times)}" if times else ""
    return f"{row.id}: {seeds} seed{'s' * (seeds > 1)} under {' and '.join(protocols)}{expected}"


@contextmanager
def failures_explained(records: Path) -> Iterator[None]:
    """Raise ConfigError with one line if a file of a record cannot be written."""
    try:
        yield
    except Irregular:
        raise  # says which file it is
    except OSError as error:
        raise ConfigError(f"--records {records}: {error.strerror}") from None


def redraw(rows: Sequence[PaperRow], records: Path) -> int:
    """Write table.md and figure.png of those rows that are recorded, and return the exit code, 0.

    Raises ConfigError if none is.
    """
    recorded = [row for row in rows if any((records / row.id).glob("*/seed*/result.json"))]
    if not recorded:
        raise ConfigError(f"{records}: nothing is recorded of {rows[0].id if len(rows) == 1 else 'any row'}")
    for row in recorded:
        with failures_explained(records):
            write_record_pages(records, row)
        print(records / row.id)
    return 0


def print_unread(lines: Sequence[str]) -> None:
    """Print a line to standard error for each file that could not be read."""
    for line in lines:
        print(f"membrane: {printable_text(line)}", file=sys.stderr)


def train_row(arguments: Sequence[str]) -> int:
    """Train as `membrane train` does, and return the exit code."""
    from membrane.cli.train import train_command

    return train_command(arguments)


def seed_folders(settings: Sequence[str], seeds: Sequence[int]) -> dict[int, Path]:
    """Return the folder of the run of each seed."""
    return {seed: RunFolder(composed([*settings, f"seed={seed}"])).path for seed in seeds}


def require_results(runs: Mapping[int, Path]) -> None:
    """Raise RunFailed if a seed has no result: of those that were asked for, another process trains it still."""
    missing = [str(seed) for seed, run in runs.items() if not (run / RESULT).exists()]
    if missing:
        those = "they are" if len(missing) > 1 else "it is"
        raise RunFailed(
            f"no result of seed {', '.join(missing)} yet: {those} being trained by another process; "
            "start this again when that has ended"
        )


def changes_the_row(row: PaperRow, settings: Sequence[str]) -> bool:
    """Return whether settings make another run of a row than its file; another number of threads does not."""
    own, config = composed([f"experiment={row.id}"]), composed([f"experiment={row.id}", *settings])
    return fingerprint(config.model_copy(update={"threads": own.threads})) != fingerprint(own)


def composed(settings: Sequence[str]) -> Config:
    """Return the checked configuration of a command line. Raises ConfigError if it is refused."""
    from membrane.config.check import check, resolved

    composer = Composer()
    return check(resolved(composer.compose(composer.add_or_override(settings))))
