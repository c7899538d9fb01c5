"""Jobs in processes of their own: nothing that happens to one touches another, and none is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.runs.folder import RunFolder
from membrane.runs.stopping import Stop
from membrane.sweep import processes
from membrane.sweep.processes import Child, Processes, run_all, settings_of

Run = Callable[..., int]
ROOT = Path(__file__).parents[2]

THEIRS = '''
import os, signal, time
from pathlib import Path
import torch
from torch import nn
class Net(nn.Module):
    """Does in training what a file of its number says."""
    def __init__(self, *, input_shape, classes, timesteps, neuron, number=0):
        super().__init__()
        self.number = number
        self.flatten, self.neuron, self.head = nn.Flatten(2), neuron(), nn.Linear(64, classes)
    def forward(self, x):
        what = Path(f"what{self.number}")
        if self.training and what.exists():
            exec(what.read_text())
        return self.head(self.neuron(self.flatten(x)))
'''
IN_PLACE_OF_A_RUN = """
import json, os, pathlib, signal, sys, time
[number] = {line.partition("=")[2] for line in sys.argv if line.startswith("++seed=")}
record = json.loads(max(pathlib.Path("runs/.sweeps").glob("*/jobs.json")).read_text())
job, *_ = [job for job in record["jobs"] if f"seed={number}" in job["overrides"]]
folder = pathlib.Path("runs") / job["folder"]
folder.mkdir(parents=True, exist_ok=True)
print("run", number, flush=True)
def finish():
    (folder / "result.json").write_text(json.dumps({"metrics": {"test/acc": 0.25}}))
exec(pathlib.Path(f"what{number}").read_text())
"""
"""A process that finds its run's folder in the sweep's record, and does there what a file of its seed's number says."""


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Child]:
    """Children that run a line of the shell each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "command", lambda arguments: ["bash", "-c", *arguments])
    return lambda name, script, timeout=None: Child([script], tmp_path / f"{name}.log", timeout)


@pytest.fixture
def sweep(small: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A sweep over seeds that do what they are told, in processes that import nothing."""
    monkeypatch.setattr(processes, "command", lambda said: [sys.executable, "-c", IN_PLACE_OF_A_RUN, *said])

    def start(*arguments: str, **what: str) -> int:
        for seed, code in what.items():
            (tmp_path / f"what{seed.removeprefix('seed')}").write_text(code)
        seeds = ",".join(sorted(path.name.removeprefix("what") for path in tmp_path.glob("what*")))
        return small("-m", f"seed={seeds}", "hydra/launcher=processes", *arguments)

    return start


def run_of(seed: int) -> Path:
    [folder] = Path("runs").glob(f"digits/*/seed{seed}")
    return folder


def failure(seed: int) -> dict[str, str]:
    content: dict[str, str] = json.loads((run_of(seed) / "FAILED.json").read_text())
    return content


def alive(pid: int) -> bool:
    """Whether a process runs: one that is dead and waits to be asked after does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Whether a process ends: it may take the system a moment to bury it."""
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize(
    ("typed", "said"),
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
    typed: str, said: str, membrane: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert membrane("-m", "seed=0,1", "hydra/launcher=processes", f"hydra.launcher.{typed}") == 2
    error = capsys.readouterr().err
    assert re.match(f"membrane: {said}", error), error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_setting_that_there_is_none_of_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.launcher\.n_job: no such setting; did you mean n_jobs\?"):
        settings_of({"n_job": 2})


def test_as_many_jobs_at_once_as_have_cores_for_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 8)
    assert [Processes().at_once(threads) for threads in (1, 3, 8, 16)] == [8, 2, 1, 1]
    assert Processes(n_jobs=5).at_once(threads=8) == 5


@pytest.mark.parametrize(("said", "seconds"), [(None, None), (90, 90.0), (0.5, 0.5), ("90s", 90.0), ("1h30m", 5400.0)])
def test_a_timeout_is_seconds_or_text(said: Any, seconds: float | None) -> None:
    assert Processes(job_timeout=said).timeout() == seconds


def test_every_job_ends_and_says_how(scripts: Callable[..., Child]) -> None:
    children = [
        scripts("good", "echo fine; echo fine too >&2"),
        scripts("exits", "exit 3"),
        scripts("killed", "kill -KILL $$"),
    ]
    ended: list[Child] = []
    run_all(children, 2, Stop(), ended.append)
    assert set(ended) == set(children)
    assert [child.code for child in children] == [0, 3, -9]
    assert [child.how() for child in children[1:]] == ["ended with exit code 3", "killed by SIGKILL"]
    assert children[0].tail() == "fine\nfine too\n"
    assert children[0].tail(4) == "too\n"


def test_so_many_run_at_once_and_no_more(scripts: Callable[..., Child]) -> None:
    meets = "touch {}; until [ -e {} ]; do sleep 0.02; done"
    pair = [scripts("a", meets.format("a", "b")), scripts("b", meets.format("b", "a"))]
    run_all(pair, 2, Stop(), lambda child: None)  # neither ends unless both run
    assert [child.code for child in pair] == [0, 0]
    alone = "mkdir busy || exit 1; sleep 0.1; rmdir busy"
    three = [scripts(name, alone) for name in "cde"]
    run_all(three, 1, Stop(), lambda child: None)
    assert [child.code for child in three] == [0, 0, 0]


def test_a_job_out_of_time_is_told_to_end_and_one_that_does_not_is_killed_with_all_it_started(
    scripts: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "AFTER_TIMEOUT", 0.2)
    children = [
        scripts("hangs", "sleep 1000", 1.0),
        scripts("deaf", "trap '' TERM; sleep 1000 & echo $! > started; while true; do wait; done", 1.0),
        scripts("quick", "true", 1000.0),
    ]
    run_all(children, 3, Stop(), lambda child: None)
    assert [child.code for child in children] == [-signal.SIGTERM, -signal.SIGKILL, 0]
    assert [child.how() for child in children[:2]] == ["timed out after 1 s"] * 2
    assert gone(int(Path("started").read_text()))


def test_a_stop_lets_those_that_run_save_and_starts_no_other(scripts: Callable[..., Child]) -> None:
    stop = Stop()
    stop.waits = True
    children = [
        scripts("first", "until [ -e ready ]; do sleep 0.02; done"),
        scripts("saves", "trap 'echo saved; exit 75' TERM; touch ready; while true; do sleep 0.02; done"),
        scripts("never", "touch never"),
    ]
    run_all(children, 2, stop, lambda child: stop.receive(signal.SIGTERM) if child is children[0] else None)
    assert [child.code for child in children[:2]] == [0, 75]
    assert children[1].tail() == "saved\n"
    assert (children[2].process, Path("never").exists()) == (None, False)


def test_whatever_is_raised_none_is_left_behind(scripts: Callable[..., Child]) -> None:
    children = [scripts("quick", "until [ -e ready ]; do sleep 0.02; done"), scripts("long", "touch ready; sleep 1000")]

    def fails(child: Child) -> None:
        raise KeyError("a second Ctrl-C, or a mistake of ours")

    with pytest.raises(KeyError):
        run_all(children, 2, Stop(), fails)
    assert children[1].process is not None
    assert children[1].process.wait(30) == -signal.SIGKILL


def test_a_job_that_cannot_be_started_is_one_failed_job(
    scripts: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "command", lambda arguments: ["/no/such/program"])
    child = scripts("none", "true")
    run_all([child], 1, Stop(), lambda child: None)
    assert child.how().startswith("cannot be started: ")
    assert child.tail() == ""


def test_a_job_is_given_its_words_as_they_are_and_can_import_what_the_sweep_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "their_package.py").write_text("import sys\nprint(sys.argv[1:])")
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the working directory was imported')")
    monkeypatch.syspath_prepend(tmp_path / "here")
    words = ["name='a b'", "x=$(touch TOUCHED);*\n\\'\"", "y={a: [1, 2]}", "ü=→"]
    own = processes.command(words)
    assert own == [sys.executable, "-P", "-m", "membrane", "train", *words]
    monkeypatch.setattr(processes, "command", lambda said: [*own[:2], "-c", "import random, their_package", *said])
    child = Child(words, tmp_path / "log", None)
    run_all([child], 1, Stop(), lambda child: None)
    assert child.tail() == f"{words}\n"
    assert not (tmp_path / "TOUCHED").exists()


def test_each_outcome_is_told_counted_and_recorded(sweep: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code = sweep(
        "hydra.launcher.n_jobs=4",
        seed0="finish()",
        seed1="os._exit(3)",
        seed2="os.kill(os.getpid(), signal.SIGKILL)",
        seed3="(folder / 'FAILED.json').write_text('{\"error\": \"its own words\"}'); sys.exit(1)",
        seed4="print('membrane: no data there: say paths.data', file=sys.stderr); sys.exit(1)",
        seed5="print('membrane: refused', file=sys.stderr); sys.exit(2)",
        seed6="sys.exit(75)",
        seed7="(folder / 'PRUNE').touch()",
        seed8="pass",
        seed9="finish(); sys.exit(1)",
    )
    assert code == 1
    lines = capsys.readouterr().out.splitlines()
    told = {line.partition("/")[0]: line for line in lines if re.match(r"\d+/10 seed=\d: ", line)}
    ended = {int(number) - 1: line.partition(": ")[2] for number, line in told.items()}
    log = r"; see runs/\.sweeps/[^/]+/{}\.log$"
    for seed, said in {
        0: r"finished, test/acc 0\.2500: runs/digits/\w+/seed0$",
        1: "failed: ended with exit code 3" + log.format(2),
        2: "failed: killed by SIGKILL" + log.format(3),
        3: "failed: its own words" + log.format(4),
        4: "failed: no data there: say paths.data" + log.format(5),
        5: "failed: refused" + log.format(6),
        6: r"stopped with a checkpoint: runs/digits/\w+/seed6$",
        7: r"pruned: runs/digits/\w+/seed7$",
        8: "failed: ended with exit code 0" + log.format(9),
        9: "failed: run 9" + log.format(10),
    }.items():
        assert re.match(said, ended[seed]), ended[seed]
    assert lines[-1] == "sweep: 1 finished, 7 failed, 1 pruned, 1 stopped"
    assert failure(1) == {"error": "ended with exit code 3", "traceback": "run 1\n"}
    assert failure(2)["error"] == "killed by SIGKILL"
    assert failure(3) == {"error": "its own words"}
    assert failure(4)["error"] == "no data there: say paths.data"
    assert failure(8)["error"] == "ended with exit code 0"
    assert not [seed for seed in (0, 5, 6, 7, 9) if (run_of(seed) / "FAILED.json").exists()]


def test_started_again_only_what_is_missing_or_failed_runs(sweep: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(seed0="finish()", seed1="os._exit(3)", seed2="sys.exit(75)") == 1
    before = {path: path.read_bytes() for path in run_of(0).iterdir()}
    old = failure(1)
    capsys.readouterr()
    unlike = "assert False, 'what is finished is not run again'"
    assert sweep(seed0=unlike, seed1="os._exit(4)", seed2="finish()") == 1
    said = capsys.readouterr().out
    assert re.search(r"finished already: runs/digits/\w+/seed0 ", said)
    assert "2 of 3 jobs to run" in said
    assert {path: path.read_bytes() for path in run_of(0).iterdir()} == before
    assert (old["error"], failure(1)["error"]) == ("ended with exit code 3", "ended with exit code 4")
    assert sweep(seed1="finish()") == 0
    assert sweep(seed0="finish()", seed1=unlike, seed2=unlike) == 0
    assert sweep("rerun=true", seed0="os._exit(5)", seed1="os._exit(5)", seed2="os._exit(5)") == 1


def test_stopped_jobs_alone_end_a_sweep_with_75(sweep: Run) -> None:
    assert sweep(seed0="finish()", seed1="sys.exit(75)") == 75


def test_a_sweep_that_is_told_to_stop_passes_it_on_and_waits(sweep: Run, capfd: pytest.CaptureFixture[str]) -> None:
    saves = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); pathlib.Path('pid').write_text(str(os.getpid()))"
    waits = "while True: time.sleep(0.02)"
    stops = "while not pathlib.Path('pid').exists(): time.sleep(0.02)"
    code = sweep(
        "hydra.launcher.n_jobs=2",
        seed0=f"{saves}\n{waits}",
        seed1=f"{stops}\nos.kill(os.getppid(), signal.SIGTERM)\n{waits}",  # as if the system had sent it
        seed2="finish()",
    )
    said = capfd.readouterr()
    assert "1/3 seed=0: stopped with a checkpoint: " in said.out
    assert "2/3 seed=1: stopped before its first checkpoint: " in said.out
    assert "sweep: 0 finished, 0 failed, 2 stopped" in said.out
    assert said.err.startswith("membrane: stopped by SIGTERM with a checkpoint; start it again")
    assert code == 75
    assert not list(Path("runs").glob("digits/*/seed2"))
    assert not list(Path("runs").rglob("FAILED.json"))
    assert gone(int(Path("pid").read_text()))


def test_jobs_that_are_stopped_before_any_checkpoint_leave_nothing_to_go_on_with(
    sweep: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(1000)"
    assert sweep("hydra.launcher.n_jobs=1", seed0=told, seed1="finish()") == 143
    printed = capsys.readouterr()
    assert "1/2 seed=0: stopped before its first checkpoint: " in printed.out
    assert "stopped by SIGTERM without a checkpoint" in printed.err


def test_a_job_that_does_not_save_in_time_is_killed_and_the_sweep_says_so(
    sweep: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "AFTER_STOP", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(1000)"
    assert sweep("hydra.launcher.n_jobs=1", seed0=deaf, seed1="finish()") == 143
    assert "1/2 seed=0: stopped before its first checkpoint: " in capsys.readouterr().out
    assert not list(Path("runs").rglob("FAILED.json"))


def test_a_run_that_another_process_holds_is_left_alone(sweep: Run, raw: dict[str, Any], tmp_path: Path) -> None:
    assert sweep(seed0="os._exit(3)") == 1
    folder = run_of(0)
    (folder / "FAILED.json").unlink()
    place = RunFolder(check({**raw, "paths": {"run": str(tmp_path / "elsewhere")}}))
    place.path = folder
    with place.locked():
        assert sweep() == 1
    assert not (folder / "FAILED.json").exists()


def test_more_threads_than_cores_are_warned_of_once(
    sweep: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from membrane.sweep import launcher

    monkeypatch.setattr(launcher, "cores", lambda: 3)
    what = {f"seed{seed}": "finish()" for seed in range(2)}
    assert sweep("hydra.launcher.n_jobs=2", "threads=2", **what) == 0
    assert capsys.readouterr().out.count("n_jobs=2 × threads=2 on 3 cores: they slow each other down\n") == 1
    assert sweep("hydra.launcher.n_jobs=2", "threads=1", **what) == 0
    assert "slow each other" not in capsys.readouterr().out


def test_the_same_run_twice_gets_one_process_and_nothing_is_checked_twice(
    sweep: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from membrane.sweep import launcher

    monkeypatch.setattr(launcher, "runnable_config", lambda *_: pytest.fail("composed and checked again"))
    assert sweep("name=x,x", "hydra.launcher.n_jobs=2", seed0="finish()") == 0
    said = capsys.readouterr().out
    assert "1 of 2 jobs to run, 1 at once (hydra.launcher.n_jobs); " in said
    assert re.search("^2/2 .* name=x: the same run as 1/2 ", said, re.MULTILINE)


def real(tmp_path: Path, *typed: str) -> subprocess.Popen[str]:
    """A sweep of a user's own model, from the command line."""
    (tmp_path / "their_package.py").write_text(THEIRS)
    (tmp_path / "mine" / "model").mkdir(parents=True, exist_ok=True)
    (tmp_path / "mine" / "model" / "net.yaml").write_text("_target_: their_package.Net\nnumber: 0\n")
    command = [sys.executable, str(ROOT / "train.py"), "--config-dir", "mine", "model=net", "trust=[their_package.Net]"]
    small = ["logger=csv", "epochs=1", "timesteps=2", "threads=1", "figures=false", "-m", "hydra/launcher=processes"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    return subprocess.Popen(
        [*command, *small, *typed],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_real_runs(tmp_path: Path) -> None:
    """One is killed and one is not; what is odd in an override reaches the run as it was typed."""
    odd = "da ta;$(touch TOUCHED) {}*é"
    (tmp_path / "what1").write_text("os.kill(os.getpid(), signal.SIGKILL)")
    typed = ("model.number=0,1", "hydra.launcher.n_jobs=2", f"paths.data='{odd}'")
    sweep = real(tmp_path, *typed)
    out, err = sweep.communicate(timeout=300)
    assert (sweep.returncode, err) == (1, "")
    assert out.splitlines()[-1] == "sweep: 1 finished, 1 failed"
    [result] = tmp_path.glob("runs/*/*/*/result.json")
    [failed] = tmp_path.glob("runs/*/*/*/FAILED.json")
    assert json.loads(failed.read_text())["error"] == "killed by SIGKILL"
    assert f"data: {odd}\n" in (result.parent / "config.yaml").read_text()
    assert json.loads((result.parent / "provenance.json").read_text())["command"][:2] == ["membrane", "train"]
    assert {path.name for path in tmp_path.iterdir()} <= {"runs", "mine", "their_package.py", "what1", "__pycache__"}


@pytest.mark.slow
def test_of_twelve_jobs_four_fail_each_in_its_way_and_only_they_run_again(tmp_path: Path) -> None:
    for number, what in {
        2: "raise RuntimeError('broken net')",
        5: "os._exit(3)",
        7: "os.kill(os.getpid(), signal.SIGKILL)",
        11: "self.head.weight.data.fill_(float('nan'))",
    }.items():
        (tmp_path / f"what{number}").write_text(what)
    typed = ("model.number=range(12)", "hydra.launcher.n_jobs=2")
    first = real(tmp_path, *typed)
    out, _ = first.communicate(timeout=1200)
    assert first.returncode == 1
    assert out.splitlines()[-1] == "sweep: 8 finished, 4 failed"
    results = list(tmp_path.glob("runs/*/*/*/result.json"))
    failed = {path.parent: json.loads(path.read_text()) for path in tmp_path.glob("runs/*/*/*/FAILED.json")}
    assert (len(results), len(failed)) == (8, 4)
    errors = sorted(content["error"] for content in failed.values())
    assert errors[:3] == ["broken net", "ended with exit code 3", "killed by SIGKILL"]
    assert all(content["traceback"] for content in failed.values())
    before = {path: path.read_bytes() for file in results for path in file.parent.rglob("*") if path.is_file()}
    for path in tmp_path.glob("what*"):
        path.unlink()
    again = real(tmp_path, *typed)
    out, _ = again.communicate(timeout=1200)
    assert again.returncode == 0
    assert out.count("finished already: ") == 8
    assert "4 of 12 jobs to run" in out
    assert out.splitlines()[-1] == "sweep: 12 finished, 0 failed"
    assert {path: path.read_bytes() for path in before} == before
    assert all((folder / "result.json").exists() and not (folder / "FAILED.json").exists() for folder in failed)


@pytest.mark.slow
def test_a_real_sweep_that_is_told_to_stop_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "what0").write_text("Path('pid').write_text(str(os.getpid())); time.sleep(0.2)")
    typed = ("model.number=0,1", "hydra.launcher.n_jobs=1", "epochs=3")
    sweep = real(tmp_path, *typed)
    tables = "runs/digits/*/seed0/checkpoints/last.ckpt"
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob(tables)) and time.monotonic() < deadline and sweep.poll() is None:
        time.sleep(0.1)
    sweep.send_signal(signal.SIGTERM)
    _, err = sweep.communicate(timeout=120)
    assert sweep.returncode == 75, err
    assert gone(int((tmp_path / "pid").read_text()))
    assert not list(tmp_path.rglob("FAILED.json"))
    (tmp_path / "what0").unlink()
    again = real(tmp_path, *typed)
    out, _ = again.communicate(timeout=600)
    assert (again.returncode, out.splitlines()[-1]) == (0, "sweep: 2 finished, 0 failed")
