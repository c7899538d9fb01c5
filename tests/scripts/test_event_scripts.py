"""The scripts that fuzz and time the readers of event files, and time how events become frames."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def start(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPTS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_mutants_are_counted() -> None:
    done = start("fuzz.py", "nmnist", "aedat3", "--n", "9")
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(\w+): 9 mutants, (\d) refused, (\d) read; slowest \d+ ms", done.stdout, re.MULTILINE)
    assert [(name, int(refused) + int(read)) for name, refused, read in lines] == [("nmnist", 9), ("aedat3", 9)]


@pytest.mark.parametrize(
    ("script", "argument"), [("fuzz.py", "pickle"), ("reading_speed.py", "evt3"), ("framing_speed.py", "time")]
)
def test_other_arguments_are_refused(script: str, argument: str) -> None:
    done = start(script, argument)
    assert done.returncode == 2
    assert argument in done.stderr
