"""Jobs in processes of their own: nothing that happens to one touches another, and none is left behind."""

import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from membrane.errors import ConfigError
from membrane.runs.stopping import Stop
from membrane.sweep import processes
from membrane.sweep.processes import ChildProcess, LauncherSettings, launcher_settings, run_children

Scripts = Callable[..., ChildProcess]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scripts:
    """Return a function that makes a process of a name and a line of the shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "job_command", lambda arguments: ["bash", "-c", *arguments])
    return lambda name, script, timeout=None: ChildProcess([script], tmp_path / f"{name}.log", timeout)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("n_jobs=0", "hydra.launcher.n_jobs: must be greater than 0, got 0"),
        ("n_jobs=two", "hydra.launcher.n_jobs: expected a whole number, got 'two'"),
        ("job_timeout=abc", "hydra.launcher.job_timeout: expected a time such as 45s, 10m or 1h30m, got 'abc'"),
        ("job_timeout=0", "hydra.launcher.job_timeout: must be greater than 0"),
        ("job_timeout=0s", "hydra.launcher.job_timeout: expected more than no time, got '0s'"),
        ("n_job=2", ".*n_job"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(
    typed: str, message: str, membrane: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert membrane("-m", "seed=0,1", "hydra/launcher=processes", f"hydra.launcher.{typed}") == 2
    error = capsys.readouterr().err
    assert re.match(f"membrane: {message}", error), error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_setting_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.launcher\.n_job: no such setting; did you mean n_jobs\?"):
        launcher_settings({"n_job": 2})


def test_as_many_jobs_at_once_as_have_cores_for_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "available_cores", lambda: 8)
    assert [LauncherSettings().jobs_at_once(threads) for threads in (1, 3, 8, 16)] == [8, 2, 1, 1]
    assert LauncherSettings(n_jobs=5).jobs_at_once(threads=8) == 5


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, None), (90, 90.0), (0.5, 0.5), ("90s", 90.0), ("1h30m", 5400.0)]
)
def test_a_timeout_is_seconds_or_text(timeout: float | str | None, seconds: float | None) -> None:
    assert LauncherSettings(job_timeout=timeout).timeout_seconds() == seconds


def test_every_job_ends_and_says_how(scripts: Scripts) -> None:
    children = [
        scripts("good", "echo fine; echo fine too >&2"),
        scripts("exits", "exit 3"),
        scripts("killed", "kill -KILL $$"),
    ]
    ended: list[ChildProcess] = []
    run_children(children, 2, Stop(), ended.append)
    assert set(ended) == set(children)
    assert [child.exit_code for child in children] == [0, 3, -9]
    assert [child.failure_reason() for child in children[1:]] == ["ended with exit code 3", "killed by SIGKILL"]
    assert children[0].output_tail() == "fine\nfine too\n"
    assert children[0].output_tail(4) == "too\n"


def test_as_many_run_at_once_as_may(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ChildProcess] = []
    at_once = []

    def start(child: ChildProcess) -> None:
        started.append(child)
        at_once.append(sum(other.exit_code is None for other in started))
        original(child)

    original = ChildProcess.start
    monkeypatch.setattr(ChildProcess, "start", start)
    waits_for_other = "touch {}; until [ -e {} ]; do sleep 0.02; done"
    pair = [scripts("a", waits_for_other.format("a", "b")), scripts("b", waits_for_other.format("b", "a"))]
    run_children(pair, 2, Stop(), lambda child: None)  # neither ends unless both run
    run_children([scripts(name, "true") for name in "cde"], 1, Stop(), lambda child: None)
    assert [child.exit_code for child in started] == [0] * 5
    assert at_once == [1, 2, 1, 1, 1]


def test_a_job_out_of_time_is_told_to_end_and_one_that_does_not_is_killed_with_all_it_started(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch, ends_soon: Callable[[int], bool]
) -> None:
    hangs = scripts("hangs", "sleep 1000", 1.0)
    deaf = scripts("deaf", "trap '' TERM; sleep 1000 & echo $! > pid; touch started; while true; do wait; done", 1.0)
    quick = scripts("quick", "true", 1000.0)
    now = 0.0

    def sleep(seconds: float) -> None:
        """Let the clock go on only once the processes are where they should be."""
        nonlocal now
        if now == 0 and Path("started").exists() and quick.exit_code == 0:
            now = 1.0  # both timeouts
        elif now == 1.0 and hangs.exit_code is not None:
            now += processes.TIMEOUT_GRACE
        time.sleep(0.01)

    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    run_children([hangs, deaf, quick], 3, Stop(), lambda child: None)
    assert [child.exit_code for child in (hangs, deaf, quick)] == [-signal.SIGTERM, -signal.SIGKILL, 0]
    assert [child.failure_reason() for child in (hangs, deaf)] == ["timed out after 1 s"] * 2
    assert ends_soon(int(Path("pid").read_text()))


def test_a_stop_lets_those_that_run_save_and_starts_no_other(scripts: Scripts) -> None:
    stop = Stop()
    stop.waits = True
    children = [
        scripts("first", "until [ -e ready ]; do sleep 0.02; done"),
        scripts("saves", "trap 'echo saved; exit 75' TERM; touch ready; while true; do sleep 0.02; done"),
        scripts("never", "touch never"),
    ]
    run_children(children, 2, stop, lambda child: stop.receive(signal.SIGTERM) if child is children[0] else None)
    assert [child.exit_code for child in children[:2]] == [0, 75]
    assert children[1].output_tail() == "saved\n"
    assert (children[2].process, Path("never").exists()) == (None, False)


def test_none_is_left_behind_whatever_is_raised(scripts: Scripts) -> None:
    children = [scripts("quick", "until [ -e ready ]; do sleep 0.02; done"), scripts("long", "touch ready; sleep 1000")]

    def fails(child: ChildProcess) -> None:
        raise KeyError("a second Ctrl-C, or a mistake of ours")

    with pytest.raises(KeyError):
        run_children(children, 2, Stop(), fails)
    assert children[1].process is not None
    assert children[1].process.wait(120) == -signal.SIGKILL


def test_a_job_that_cannot_be_started_is_one_failed_job(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "job_command", lambda arguments: ["/no/such/program"])
    child = scripts("none", "true")
    run_children([child], 1, Stop(), lambda child: None)
    assert child.failure_reason().startswith("cannot be started: ")
    assert child.output_tail() == ""


def test_a_job_is_given_its_words_as_they_are_and_can_import_what_the_sweep_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "their_package.py").write_text("import sys\nprint(sys.argv[1:])")
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the working directory was imported')")
    monkeypatch.syspath_prepend(tmp_path / "here")
    words = ["name='a b'", "x=$(touch TOUCHED);*\n\\'\"", "y={a: [1, 2]}", "ü=→"]
    real = processes.job_command(words)
    assert real == [sys.executable, "-P", "-m", "membrane", "train", *words]
    program = "import random, their_package"
    monkeypatch.setattr(processes, "job_command", lambda arguments: [*real[:2], "-c", program, *arguments])
    child = ChildProcess(words, tmp_path / "log", None)
    run_children([child], 1, Stop(), lambda child: None)
    assert child.output_tail() == f"{words}\n"
    assert not (tmp_path / "TOUCHED").exists()
