"""Predict labels for files: arrays, pictures, event recordings, sound and series."""

import io
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from membrane.cli.answer import CommandParser
from membrane.cli.report import write_report
from membrane.cli.versions import check_versions
from membrane.errors import ConfigError, DataError, printable_text
from membrane.report.predictions import predictions_as_csv, predictions_as_json, predictions_as_table
from membrane.report.terminal import console
from membrane.runs.saved import CONFIG, RESULT
from membrane.training.imports import quick_imports

if TYPE_CHECKING:
    from rich.table import Table

    from membrane.report.predictions import Prediction

EXAMPLES = """\
for example:
  membrane predict runs/digits/e323fe92112d/seed0 one.png more.npz
  membrane predict runs/nmnist_subset/d419f4834e49/seed0 901.bs2 --timesteps
  membrane predict runs/fsdd/2492489ab8cb/seed* -- *.wav --format json     an ensemble of several runs"""
FORMATS = ("table", "csv", "json")
BY_SUFFIX = {".csv": "csv", ".json": "json"}


def predict_command(arguments: Sequence[str]) -> int:
    """Print what a run, or several, predict for files, and return the exit code: 1 if a file could not be read."""
    options, files = options_and_files(arguments)
    runs, files = runs_and_files(options.names, files)
    check_versions()
    with quick_imports():
        from membrane.training.prediction import load_predictors, predict_file

    predictors = load_predictors(runs, options.trust)
    predictions: list[Prediction] = []
    unread = []
    for file in files:
        try:
            predictions += predict_file(predictors, file, options.timesteps)
        except (DataError, ConfigError, OSError, ValueError) as error:
            line = str(error) if str(file) in str(error) else f"{file}: {error}"
            unread.append(line)
            print(f"membrane: {printable_text(line)}", file=sys.stderr)
    style = options.format or BY_SUFFIX.get(options.output.suffix if options.output else "", "table")
    shown = (predictions, [str(run) for run in runs], options.timesteps)
    if style == "table":
        if predictions:
            write_table(options.output, predictions_as_table(*shown))
    else:
        text = predictions_as_csv(*shown) if style == "csv" else predictions_as_json(*shown, unread)
        write_report(options.output, text)
    return 1 if unread else 0


def options_and_files(arguments: Sequence[str]) -> tuple[Namespace, list[Path]]:
    """Return what was typed, and the files behind ``--``. Options may stand on either side of it."""
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    options = predict_parser().parse_intermixed_args(words[:at])
    runs: list[Path] = options.names
    if not words[at + 1 :]:
        return options, []
    del options.names
    options = predict_parser().parse_intermixed_args(words[at + 1 :], options)
    files: list[Path] = options.names
    options.names = runs
    return options, files


def write_table(file: Path | None, table: "Table") -> None:
    """Print a table, or write it into a file as text."""
    if file is None:
        console().print(table)
        return
    text = io.StringIO()
    console(text).print(table)
    write_report(file, text.getvalue())


def runs_and_files(names: Sequence[Path], files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the runs and the files among what was typed: runs come first, and all before ``--`` are runs.

    Raises ConfigError if there are none of either.
    """
    count = len(names) if files else next((n for n, path in enumerate(names) if not is_run(path)), len(names))
    runs, files = list(names[:count]), [*names[count:], *files]
    if not runs:
        raise ConfigError(f"{names[0]}: no run, which comes first: membrane predict RUN FILE")
    if not files:
        raise ConfigError("no file to predict for: membrane predict RUN FILE")
    return runs, files


def is_run(path: Path) -> bool:
    """Return whether a path is a run's folder or a checkpoint."""
    return path.suffix == ".ckpt" or (
        path.is_dir() and any((path / name).exists() for name in (CONFIG, RESULT, "checkpoints"))
    )


def predict_parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("predict", __doc__, EXAMPLES)
    parser.usage = "membrane predict RUN [RUN …] [--] FILE [FILE …] [OPTIONS]"
    parser.add_argument(
        "names",
        metavar="RUN FILE",
        nargs="+",
        type=Path,
        help="a run's folder or a checkpoint, and files; several runs are an ensemble, the mean of their probabilities",
    )
    parser.add_argument("--timesteps", action="store_true", help="show the answer after each number of timesteps")
    parser.add_argument("--format", choices=FORMATS, help="default: by the name of the output, else a table")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there instead of standard output")
    parser.add_argument(
        "--trust", metavar="NAME", action="append", default=[], help="a class of your own that the run uses"
    )
    return parser
