"""The program: `membrane COMMAND [ARGUMENTS]` or `python -m membrane COMMAND [ARGUMENTS]`."""

import ast
import os
import sys
from argparse import SUPPRESS
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from membrane import __version__
from membrane.cli.answer import CommandParser, answer
from membrane.errors import ConfigError
from membrane.fast.waiting_threads import let_waiting_threads_sleep
from membrane.tracking.output import concealing_outputs, replace_unprintable

COMMANDS = {
    "train": "membrane.cli.train",
    "evaluate": "membrane.cli.evaluate",
    "predict": "membrane.cli.predict",
    "reproduce": "membrane.cli.reproduce",
    "models": "membrane.cli.models",
    "data": "membrane.cli.data",
    "status": "membrane.cli.status",
    "report": "membrane.cli.report",
    "bench": "membrane.cli.bench",
}
"""Command → its module, which has a function `<command>_command(arguments) -> exit code`. The first line of the
module's docstring stands beside the command in `membrane --help`, which imports none of them."""
DATA = "MEMBRANE_DATA"
"""The environment variable that says where data sets lie."""
COMPLETION = ("-sc", "--shell-completion")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default this process's, and return its exit code."""
    replace_unprintable()
    let_waiting_threads_sleep()
    if not os.environ.get(DATA, "unset"):
        del os.environ[DATA]  # set but empty: the working folder is not meant
    words = list(sys.argv[1:] if arguments is None else arguments)
    with concealing_outputs():
        return answer(lambda: run_command(words))


def run_command(words: Sequence[str]) -> int:
    """Run the command that the first word names. Raises ConfigError if there is none of that name."""
    if words and words[0] in COMPLETION:
        return complete_command(words)
    parser = program_parser()
    command = parser.parse_args(words[:1]).command
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    if command not in COMMANDS:
        raise ConfigError(f"{command}: no such command{instead_of(command)} see membrane --help")
    run = getattr(import_module(COMMANDS[command]), f"{command}_command")
    return int(run(words[1:]))


def program_parser() -> CommandParser:
    """Return the parser of the program's own options; the arguments of a command are that command's to read."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {headline(module)}" for name, module in COMMANDS.items())
    parser = CommandParser(
        "",
        "Train spiking neural networks four ways, measure them, and see how training is going.",
        f"commands:\n{listed}\n\n`membrane COMMAND --help` tells more of each.",
    )
    parser.usage = "membrane COMMAND [ARGUMENTS]"
    parser.add_argument("--version", action="version", version=f"membrane {__version__}")
    parser.add_argument("command", metavar="COMMAND", nargs="?", help=SUPPRESS)
    return parser


def headline(module: str) -> str:
    """Return the first line of a module's docstring from its source, without importing the module."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    page = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (page or "").partition("\n")[0].rstrip(".")


def instead_of(word: str) -> str:
    """Return what to type instead of a word that names no command, for the middle of a line; ";" if nothing is near."""
    from membrane.config.habits import COMMANDS as THEIRS
    from membrane.config.messages import nearest

    if word in THEIRS:
        return f"; did you mean membrane {THEIRS[word]}?"
    if "=" in word:  # a setting, typed without a command
        return f"; did you mean membrane train {word}?"
    return nearest(word, COMMANDS) or ";"


def complete_command(words: Sequence[str]) -> int:
    """Answer the shell's completion: of the command itself here, of the arguments of `train` by Hydra."""
    if "COMP_LINE" in os.environ and any(word.startswith("query=") for word in words):
        program, _, rest = os.environ["COMP_LINE"].partition(" ")
        command, chosen, arguments = rest.partition(" ")
        if not chosen:
            print(" ".join(COMMANDS))
        if command != "train" or not chosen:
            return 0
        os.environ["COMP_LINE"] = f"{program} {arguments}"
    return run_command(["train", *words])
