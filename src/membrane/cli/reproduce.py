"""Train what a paper trained, and set its number beside ours."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from membrane.cli.answer import CommandParser
from membrane.config.composer import Composer, conf_folder
from membrane.config.messages import nearest
from membrane.errors import ConfigError, printable_text
from membrane.papers.record import (
    HONEST,
    Results,
    band_state,
    compared_spread,
    honest_spread,
    read_record,
    write_record,
)
from membrane.papers.registry import PaperRow, paper_rows
from membrane.report.terminal import console
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import RunFolder
from membrane.runs.saved import read_result
from membrane.schema import Config
from membrane.schema.paper import Paper

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PROTOCOLS = ("val_best", "last", "paper_best_on_test")
COMPARED = {"best": "best epoch", "last": "last epoch", "mean_last10": "last ten"}
CAPTION = "test accuracy in %; ours: mean ± standard deviation over seeds under the paper's protocol"
QUICK = ("debug.batches=5", "epochs=1", "seed=0", "figures=false")
"""Settings of a run that shows whether a row trains here, and leaves no result."""
EXAMPLES = """for example:
  membrane reproduce --list
  membrane reproduce seq_fmnist/plain --quick
  membrane reproduce seq_fmnist/plain --seeds 0,1,2 paths.runs=runs/papers"""


def reproduce_command(arguments: Sequence[str]) -> int:
    """List the rows, or train one under the paper's protocol and val_best, and return the exit code."""
    parser = reproduce_parser()
    options = parser.parse_intermixed_args(arguments)
    rows = paper_rows(conf_folder() / "experiment")
    if options.list:
        unread: list[str] = []
        wide_console().print(rows_table([(row, read_record(options.records, row, unread)) for row in rows]))
        for line in unread:
            print(f"membrane: {printable_text(line)}", file=sys.stderr)
        return 0
    if options.id is None:
        parser.print_help()
        return 0
    row = require_row(rows, options.id)
    if options.quick:
        return train_row([f"experiment={row.id}", *QUICK, *options.settings])
    return reproduce(row, options)


def reproduce_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("reproduce", __doc__, EXAMPLES)
    parser.add_argument("id", metavar="ID", nargs="?", help="a row, as --list names it")
    parser.add_argument("settings", metavar="SETTING=VALUE", nargs="*", help="of all its runs, such as paths.runs=DIR")
    parser.add_argument(
        "--list", action="store_true", help="list the rows: published, ours, the band, what is recorded"
    )
    parser.add_argument("--quick", action="store_true", help="train a few batches of one seed: does it run here?")
    parser.add_argument("--seeds", metavar="0,1,…", type=seeds_of, help="default: as many as the row asks for")
    protocol = "train under one protocol alone; default: the paper's and val_best"
    parser.add_argument("--protocol", choices=PROTOCOLS, help=protocol)
    records = "where recorded results lie, and where --record puts them (default: records)"
    parser.add_argument("--records", metavar="DIR", type=Path, default=Path("records"), help=records)
    parser.add_argument("--record", action="store_true", help="copy each seed's result, curves and provenance there")
    return parser


def seeds_of(text: str) -> list[int]:
    """Return the seeds of ``0,1,2``. Raises ArgumentTypeError for anything else."""
    if not all(part.isdecimal() for part in text.split(",")):
        raise ArgumentTypeError(f"{text}: expected whole numbers from 0 as 0,1,2")
    return sorted({int(part) for part in text.split(",")})


def require_row(rows: Sequence[PaperRow], name: str) -> PaperRow:
    """Return the row of an id. Raises ConfigError if there is none."""
    by_id = {row.id: row for row in rows}
    if name not in by_id:
        near = nearest(name, by_id) or ";"
        raise ConfigError(f"{name}: no row of a paper{near} membrane reproduce --list shows them")
    return by_id[name]


def reproduce(row: PaperRow, options: Namespace) -> int:
    """Train a row's seeds under the protocols, print what they gave, and return the exit code of training."""
    changed, typed = changes_the_row(row, options.settings), " ".join(options.settings)
    if changed and options.record:
        raise ConfigError(
            f"{typed}: a record is of {row.id} as its file has it; leave out --record, or what changes it"
        )
    seeds = options.seeds or list(range(row.paper.seeds))
    protocols = [options.protocol] if options.protocol else list(dict.fromkeys([row.paper.protocol, HONEST]))
    results, code = dict[str, dict[int, dict[str, object]]](), 0
    for protocol in protocols:
        settings = [f"experiment={row.id}", f"protocol={protocol}", *options.settings]
        code = train_row(["-m", *settings, f"seed={','.join(map(str, seeds))}"])
        if code:
            return code
        for seed, run in seed_folders(settings, seeds).items():
            results.setdefault(protocol, {})[seed] = read_result(run)
            if options.record:
                write_record(options.records, row, protocol, seed, run)
    wide_console().print(rows_table([(row, results)]))
    if changed:
        print(f"not {row.id} as its file has it, so the band says nothing of it: {typed}")
    return code


def train_row(arguments: Sequence[str]) -> int:
    """Train as `membrane train` does, and return the exit code."""
    from membrane.cli.train import train_command

    return train_command(arguments)


def seed_folders(settings: Sequence[str], seeds: Sequence[int]) -> dict[int, Path]:
    """Return the folder of the run of each seed."""
    return {seed: RunFolder(composed([*settings, f"seed={seed}"])).path for seed in seeds}


def changes_the_row(row: PaperRow, settings: Sequence[str]) -> bool:
    """Return whether settings make another run of a row than its file; another number of threads does not."""
    own, config = composed([f"experiment={row.id}"]), composed([f"experiment={row.id}", *settings])
    return fingerprint(config.model_copy(update={"threads": own.threads})) != fingerprint(own)


def composed(settings: Sequence[str]) -> Config:
    """Return the checked configuration of a command line. Raises ConfigError if it is refused."""
    from membrane.config.check import check, resolved

    composer = Composer()
    return check(resolved(composer.compose(composer.add_or_override(settings))))


def wide_console() -> "Console":
    """Return the console; where it is no terminal, one wide enough that no id is folded and can be copied."""
    screen = console()
    if not screen.is_terminal:
        screen.width = 130
    return screen


def rows_table(rows: Sequence[tuple[PaperRow, Results]]) -> "Table":
    """Build a row for each id, with accuracies in percent: published, ours, the band, what is recorded."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    for name in ("id", "published", "ours", "band", "val_best", "recorded"):
        justify: Literal["left", "right"] = "left" if name in ("id", "recorded") else "right"
        table.add_column(name, overflow="fold", no_wrap=name != "id", justify=justify)
    for row, recorded in rows:
        paper = row.paper
        spreads = (compared_spread(row, recorded), honest_spread(recorded))
        ours, honest = ("–" if spread is None else str(spread) for spread in spreads)
        published = paper.published.get(paper.compared)
        shown = "–" if published is None else f"{published * 100:.2f}"
        table.add_row(
            row.id, f"{shown} {COMPARED[paper.compared]}", ours, band_text(paper), honest, band_state(row, recorded)
        )
    return table


def band_text(paper: Paper) -> str:
    """Return a band in percent, as ``68.85 to 71.85``, or ``≥ 97.00`` of one without an upper bound."""
    low, high = paper.band
    return f"≥ {low * 100:.2f}" if high == 1 else f"{low * 100:.2f} to {high * 100:.2f}"
