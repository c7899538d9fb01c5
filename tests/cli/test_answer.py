"""An exception in any command is a line on standard error, or a traceback, and an exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from membrane.cli.answer import CommandParser, answer
from membrane.cli.main import COMMANDS, main
from membrane.errors import ConfigError, DataError, RunFailed, Stopped
from membrane.files.lock import Occupied
from membrane.tracking.output import SurvivingOutput
from membrane.training import run

ENDINGS: list[tuple[BaseException, int, str]] = [
    (ConfigError("x=1: must be 2"), 2, "membrane: x=1: must be 2\n"),
    (ConfigError("x=\x1b[2J\n: must be 2"), 2, "membrane: x=\\x1b[2J : must be 2\n"),
    (DataError("a.npz: damaged"), 1, "membrane: a.npz: damaged\n"),
    (Occupied("runs/a is being run"), 1, "membrane: runs/a is being run\n"),
    (RunFailed("3 trials were refused"), 1, "membrane: 3 trials were refused\n"),
    (RunFailed(), 1, ""),
    (
        Stopped("SIGTERM", 143, saved=True),
        75,
        "membrane: stopped by SIGTERM with a checkpoint; start it again to go on\n",
    ),
    (
        Stopped("SIGTERM", 143),
        143,
        "membrane: stopped by SIGTERM without a checkpoint; start it again to run it anew\n",
    ),
    (
        Stopped("SIGINT", 130, earlier=True),
        130,
        "membrane: stopped by SIGINT at once; start it again to go on from its last checkpoint\n",
    ),
    (Stopped("SIGINT", 130), 130, "membrane: stopped by SIGINT without a checkpoint; start it again to run it anew\n"),
    (KeyboardInterrupt(), 130, "membrane: stopped\n"),
    (KeyboardInterrupt("nothing was written"), 130, "membrane: stopped; nothing was written\n"),
    (
        ModuleNotFoundError("No module named 'hydra.core'", name="hydra.core"),
        1,
        "membrane: hydra.core is not installed here; `make setup`, then `source .venv/bin/activate`\n",
    ),
    (SystemExit(0), 0, ""),
]
MISTAKES: list[Exception] = [ZeroDivisionError("by zero"), ModuleNotFoundError("no x", name="membrane.x")]


def test_every_command_answers_every_exception_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    for command, module in COMMANDS.items():
        for error, code, line in ENDINGS:

            def ends(arguments: list[str], error: BaseException = error) -> int:
                raise error

            monkeypatch.setattr(import_module(module), f"{command}_command", ends)
            seen = main([command]), capsys.readouterr().err
            wrong += [] if seen == (code, line) else [(command, error, seen)]
    assert not wrong


@pytest.mark.parametrize("error", MISTAKES, ids=repr)
def test_a_mistake_of_ours_leaves_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def ends() -> int:
        raise error

    assert answer(ends) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == f"{type(error).__name__}: {error}"


def test_every_command_refuses_an_option_that_it_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert main([command, "--nonsense"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("membrane: ")
        assert "--help" in line


def test_arguments_are_not_guessed_from_their_beginning() -> None:
    parser = CommandParser("x", "Do x.")
    parser.add_argument("--watch", action="store_true")
    with pytest.raises(ConfigError, match=r"^unrecognized arguments: --wat; see membrane x --help$"):
        parser.parse_args(["--wat"])


def test_an_output_that_nobody_reads_any_more_ends_quietly() -> None:
    listed = [sys.executable, "-m", "membrane", "models"]
    program = subprocess.Popen(listed, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait() == 141


@pytest.mark.parametrize(
    ("ended", "code", "line"), [(None, 0, ""), (3, 3, ""), ("no such thing", 1, "no such thing\n")]
)
def test_what_ends_the_process_by_itself_keeps_its_code(
    ended: str | int | None, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(lambda: sys.exit(ended)) == code
    assert capsys.readouterr().err == line


def test_a_run_goes_on_when_nobody_reads_its_output_any_more(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    train = run.train

    def train_unread(*arguments: Any) -> None:
        os.close(reading)  # as `| head -1` does after the first lines
        train(*arguments)

    monkeypatch.setattr(run, "train", train_unread)
    stream = os.fdopen(writing, "w", buffering=1)
    monkeypatch.setattr(sys, "stdout", stream)
    assert small("epochs=2") == 0
    stream.close()
    assert capsys.readouterr().err == ""
    [result] = Path("runs").glob("digits/*/seed0/result.json")
    assert json.loads(result.read_text())["epochs"] == 2


def test_training_ends_its_process_well_when_nobody_reads_its_output_any_more() -> None:
    shows = [sys.executable, "-m", "membrane", "train", "--cfg", "job"]
    program = subprocess.Popen(shows, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait() == 0


def test_a_closed_pipe_is_written_to_without_an_error() -> None:
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    output = SurvivingOutput(stream)
    os.close(reading)
    assert output.write("a line\n" * 100_000) == 700_000
    output.flush()
    output.write("more")
    stream.close()
