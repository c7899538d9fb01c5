"""SIGKILL at each call that renames, links, syncs, makes or removes: what is started again has the same bits."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SMALL

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
KILLER = """
import json, os, signal, sys
import membrane.training.run  # imported once: every run is forked from here
from membrane.cli.main import main

CALLS = ("mkdir", "rename", "replace", "link", "symlink", "fsync", "fdatasync", "unlink", "remove", "rmdir")

def counted(name, at, log):
    call = getattr(os, name)
    def instead(*arguments, **options):
        log.write(name + "\\n")
        log.flush()
        counted.calls += 1
        if counted.calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return instead

def run(folder, arguments, at):
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if at is not None:
            log, counted.calls = open("calls", "w"), 0
            for name in CALLS:
                setattr(os, name, counted(name, at, log))
        code = main(["train", *arguments])
        sys.stdout.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for line in sys.stdin:
    print(run(*json.loads(line)), flush=True)
"""
"""Runs commands given as lines of JSON, (folder, arguments, the number of the call to be killed at), prints their exit
codes, and writes into the folder what they print and which calls they made."""

Run = Callable[[Path, tuple[str, ...], int | None], int]
TWO_EPOCHS = (*SMALL, "trainer.progress=false", "epochs=2")
ONE_EPOCH = (*SMALL, "trainer.progress=false")
NEVER = 10**9


@pytest.fixture(scope="module")
def run() -> Any:
    """Return a function that runs a command in a folder, and kills it at a call, → its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def command(folder: Path, arguments: tuple[str, ...], at: int | None) -> int:
        stdin.write(json.dumps([str(folder), arguments, at]) + "\n")
        stdin.flush()
        return int(stdout.readline())

    yield command
    process.communicate()


def folder_of(folder: Path, seed: int = 0) -> Path:
    [run] = (folder / "runs").glob(f"digits/*/seed{seed}")
    return run


def calls_of(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split()


def temporaries(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*.tmp")]


def say(capsys: pytest.CaptureFixture[str], what: str, calls: list[str]) -> None:
    with capsys.disabled():
        print(f"\n{what}: killed at each of {len(calls)} calls, the same bits: {dict(sorted(Counter(calls).items()))}")


def test_a_run_killed_at_any_call_goes_on_to_the_same_bits(
    run: Run, tmp_path: Path, remains: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "whole").mkdir()
    assert run(tmp_path / "whole", TWO_EPOCHS, NEVER) == 0
    expected, calls = remains(folder_of(tmp_path / "whole")), calls_of(tmp_path / "whole")
    assert {"mkdir", "replace", "link", "fsync"} <= set(calls)
    for at in range(1, len(calls) + 1):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        assert run(folder, TWO_EPOCHS, at) == -9, at
        assert calls_of(folder) == calls[:at]
        assert run(folder, TWO_EPOCHS, None) == 0, (at, (folder / "output").read_text()[-2000:])
        assert remains(folder_of(folder)) == expected, at
        finished_before = "finished already" in (folder / "output").read_text()
        assert finished_before or not temporaries(folder), at
        shutil.rmtree(folder)
    say(capsys, "train", calls)


def test_a_rerun_killed_at_any_call_goes_on_and_moves_the_former_run_once(
    run: Run, tmp_path: Path, remains: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "former").mkdir()
    assert run(tmp_path / "former", ONE_EPOCH, None) == 0
    shutil.copytree(tmp_path / "former", tmp_path / "whole")
    again = (*ONE_EPOCH, "rerun=true")
    assert run(tmp_path / "whole", again, NEVER) == 0
    expected, calls = remains(folder_of(tmp_path / "whole")), calls_of(tmp_path / "whole")
    assert "rename" in calls
    for at in range(1, len(calls) + 1):
        folder = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "former", folder)
        former = {path.name: path.read_bytes() for path in folder_of(folder).iterdir() if path.is_file()}
        assert run(folder, again, at) == -9, at
        aside = folder_of(folder).with_name("seed0.1") if list(folder.glob("runs/digits/*/seed0")) else None
        if aside is None or not (aside.exists() and (folder_of(folder) / "result.json").exists()):  # else it is over
            assert run(folder, again, None) == 0, (at, (folder / "output").read_text()[-2000:])
        new = folder_of(folder)
        assert remains(new) == expected, at
        aside = new.with_name("seed0.1")
        assert {path.name: path.read_bytes() for path in aside.iterdir() if path.is_file()} == former, at
        assert not new.with_name("seed0.2").exists(), at
        shutil.rmtree(folder)
    say(capsys, "rerun", calls)


def test_a_sweep_killed_at_any_call_of_its_start_is_the_unbroken_one(
    run: Run, tmp_path: Path, remains: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = (*ONE_EPOCH, "-m", "seed=0,1")
    (tmp_path / "whole").mkdir()
    assert run(tmp_path / "whole", sweep, NEVER) == 0
    expected = [remains(folder_of(tmp_path / "whole", seed)) for seed in (0, 1)]
    calls = calls_of(tmp_path / "whole")
    start = calls[: calls.index("link") + 1]  # until the first job has its first checkpoint
    for at in range(1, len(start) + 1):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        assert run(folder, sweep, at) == -9, at
        assert run(folder, sweep, None) == 0, (at, (folder / "output").read_text()[-2000:])
        assert [remains(folder_of(folder, seed)) for seed in (0, 1)] == expected, at
        assert not list(folder.rglob("multirun.yaml")), at
        shutil.rmtree(folder)
    say(capsys, "sweep", start)
