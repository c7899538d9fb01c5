"""A sweep in one process: how its jobs end, what they leave, and the sweep's exit code."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.files.lock import hold_lock
from membrane.runs import provenance
from membrane.runs.folder import RunFolder
from membrane.runs.stopping import Pruned, Stopped
from membrane.training import run as run_module

Membrane = Callable[..., int]
ResultFiles = Callable[[], dict[str, str]]


@pytest.mark.parametrize(
    ("exception", "recorded"), [(SystemExit(3), "SystemExit: 3"), (ZeroDivisionError("by zero"), "by zero")], ids=repr
)
def test_whatever_a_job_raises_is_one_failed_job(
    exception: BaseException,
    recorded: str,
    small: Membrane,
    without_training: dict[int, BaseException],
    result_files: ResultFiles,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_training[1] = exception
    assert small("-m", "seed=0,1,2") == 1
    assert result_files() == {"0": "result", "1": "FAILED", "2": "result"}
    [failed] = Path("runs").glob("digits/*/seed1/FAILED.json")
    content = json.loads(failed.read_text())
    assert content["error"] == recorded
    assert "    raise exceptions[config.seed]" in content["traceback"]
    printed = capsys.readouterr()
    assert "sweep: 2 finished, 1 failed\n" in printed.out
    assert "Traceback" not in printed.out + printed.err
    assert "see runs/digits/" in printed.out
    del without_training[1]
    without_training[0] = without_training[2] = AssertionError("what is finished is not run again")
    assert small("-m", "seed=0,1,2") == 0
    assert result_files()["1"] == "result"


@pytest.mark.usefixtures("without_training")
def test_what_happens_before_a_run_begins_fails_that_job_alone(
    small: Membrane,
    result_files: ResultFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = run_module.run

    def run(config: Any, *arguments: Any) -> None:
        if config.seed == 0:
            raise OSError(28, "No space left on device", "runs/digits")
        if config.seed == 1:
            raise LookupError("a mistake of ours")
        original(config, *arguments)

    monkeypatch.setattr(run_module, "run", run)
    assert small("-m", "seed=0,1,2") == 1
    assert result_files() == {"1": "FAILED", "2": "result"}
    printed = capsys.readouterr().out
    assert "membrane: the run's folder cannot be used: runs/digits: No space left on device\n" in printed
    assert "failed: LookupError: a mistake of ours; see runs/digits/" in printed


def test_what_cannot_be_recorded_is_printed(
    small: Membrane,
    without_training: dict[int, BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = RunFolder.write

    def write_to_full_disk(self: RunFolder, name: str, content: Any) -> None:
        if name == "FAILED.json":
            raise OSError(28, "No space left on device", name)
        original(self, name, content)

    monkeypatch.setattr(RunFolder, "write", write_to_full_disk)
    without_training[0] = SystemExit(3)
    assert small() == 1
    printed = capsys.readouterr().out
    assert "failed: SystemExit: 3\nTraceback" in printed
    assert "raise exceptions[config.seed]" in printed


def test_a_pruned_job_is_neither_finished_nor_failed(
    small: Membrane,
    without_training: dict[int, BaseException],
    result_files: ResultFiles,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_training[1] = Pruned()
    assert small("-m", "seed=0,1,2") == 0
    assert result_files() == {"0": "result", "2": "result"}
    printed = capsys.readouterr().out
    assert printed.count("pruned: runs/digits/") == 1
    assert "sweep: 2 finished, 0 failed, 1 pruned\n" in printed


def test_a_stop_ends_the_sweep(
    small: Membrane, without_training: dict[int, BaseException], result_files: ResultFiles
) -> None:
    without_training[1] = Stopped("SIGTERM", 143)
    assert small("-m", "seed=0,1,2") == 143
    assert result_files() == {"0": "result"}


def test_a_signal_between_jobs_ends_the_sweep(
    small: Membrane, result_files: ResultFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Any, composed: Any, folder: RunFolder, stop: Any) -> None:
        folder.write("result.json", {"seed": config.seed, "metrics": {}})
        if config.seed == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run_module, "train", train)
    assert small("-m", "seed=0,1,2") == 143
    assert result_files() == {"0": "result", "1": "result"}


def test_a_job_sees_the_command_line_as_it_was_typed(small: Membrane, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(run_module, "train", lambda *_: seen.append(provenance.command_line()[1:]))
    small("-m", "seed=0,1")
    assert [line[-2:] for line in seen] == [["-m", "seed=0,1"]] * 2


def test_a_job_that_another_process_runs_has_not_failed(
    small: Membrane, without_training: dict[int, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("-m", "seed=0,1") == 0
    [folder] = Path("runs").glob("digits/*/seed1")
    shutil.rmtree(folder)
    capsys.readouterr()
    with hold_lock(folder.with_name(".seed1.lock"), str(folder)):  # as the same sweep does, started twice at once
        assert small("-m", "seed=0,1") == 0
        printed = capsys.readouterr().out
        assert f"{folder} is being run by process {os.getpid()} on " in printed
        assert "sweep: 1 finished before, 0 failed, 1 run by another process\n" in printed
        assert small("seed=1") == 1  # what was asked for alone is not there
    assert not folder.exists()
