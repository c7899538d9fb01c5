"""The commands from a bare clone: they find src, hand their arguments on, and say what is missing in a line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from membrane.cli.main import COMMANDS

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMES = [name for name in COMMANDS if name != "train"]  # which is train.py, at the root


def start(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, script, *arguments]
    kept = {**os.environ, **environment}
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_script(name: str) -> None:
    done = start(SCRIPTS / f"{name}.py", "--help")
    assert done.returncode == 0, done.stderr
    assert f"membrane {name}" in done.stdout


@pytest.mark.parametrize("script", ["train.py", "scripts/models.py"])
def test_a_library_that_is_missing_is_named_in_a_line(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", SCRIPTS.parent / script, "nope"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"membrane: \w+ is not installed here; `make setup`, then .*\n", done.stderr)


def test_a_script_runs_the_sources_beside_it(tmp_path: Path) -> None:
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    package = tmp_path / "src" / "membrane" / "cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "main.py").write_text(
        "import os\ndef main(arguments):\n    print(arguments, os.environ['PYTHONPATH'])\n    return 75\n"
    )
    done = start(tmp_path / "scripts" / "status.py", "runs", "--json", PYTHONPATH="elsewhere")
    assert done.returncode == 75
    assert done.stdout == f"['status', 'runs', '--json'] {tmp_path / 'src'}{os.pathsep}elsewhere\n"
