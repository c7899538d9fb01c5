"""Sweeps under `hydra/launcher=processes`: how each outcome of a job is logged, counted and recorded."""

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
from membrane.runs.folder import RunFolder
from membrane.sweep import launcher, processes

Sweep = Callable[..., int]
ROOT = Path(__file__).parents[2]

USER_MODULE = '''
import os, signal, time
from pathlib import Path
import torch
from torch import nn
class Net(nn.Module):
    """Executes while it is trained the script of its number, if there is one."""
    def __init__(self, *, input_shape, classes, timesteps, neuron, number=0):
        super().__init__()
        self.number = number
        self.flatten, self.neuron, self.head = nn.Flatten(2), neuron(), nn.Linear(64, classes)
    def forward(self, x):
        script = Path(f"script{self.number}")
        if self.training and script.exists():
            exec(script.read_text())
        return self.head(self.neuron(self.flatten(x)))
'''
FAKE_RUN = """
import json, os, pathlib, signal, sys, time
[seed] = {line.partition("=")[2] for line in sys.argv if line.startswith("++seed=")}
record = json.loads(max(pathlib.Path("runs/.sweeps").glob("*/jobs.json")).read_text())
job, *_ = [job for job in record["jobs"] if f"seed={seed}" in job["overrides"]]
folder = pathlib.Path("runs") / job["folder"]
folder.mkdir(parents=True, exist_ok=True)
print("run", seed, flush=True)
def finish():
    (folder / "result.json").write_text(json.dumps({"metrics": {"test/acc": 0.25}}))
exec(pathlib.Path(f"script{seed}").read_text())
"""
"""A program in the place of a run: it finds its run's folder in jobs.json, and executes the script of its seed."""


@pytest.fixture
def sweep(small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sweep:
    """Return a function that sweeps over seeds, each with a script that is executed in place of its run."""
    monkeypatch.setattr(processes, "job_command", lambda arguments: [sys.executable, "-c", FAKE_RUN, *arguments])

    def run(*arguments: str, **scripts: str) -> int:
        for seed, code in scripts.items():
            (tmp_path / f"script{seed.removeprefix('seed')}").write_text(code)
        seeds = ",".join(sorted(path.name.removeprefix("script") for path in tmp_path.glob("script*")))
        return small("-m", f"seed={seeds}", "hydra/launcher=processes", *arguments)

    return run


def run_folder(seed: int) -> Path:
    [folder] = Path("runs").glob(f"digits/*/seed{seed}")
    return folder


def failure(seed: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_folder(seed) / "FAILED.json").read_text())
    return content


def test_each_outcome_is_logged_counted_and_recorded(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
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
    job_lines = [line.split(": ", 1) for line in lines if re.match(r"\d+/10 seed=\d: ", line)]
    outcomes = {int(job.rpartition("=")[2]): outcome for job, outcome in job_lines}
    log = r"; see runs/\.sweeps/[^/]+/{}\.log$"
    for seed, pattern in {
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
        assert re.match(pattern, outcomes[seed]), outcomes[seed]
    assert lines[-3] == "sweep: 1 finished, 7 failed, 1 pruned, 1 stopped"
    assert lines[-2].startswith("test/acc 0.2500 ± 0.0000 over 2 of 10 seeds")  # seed 9 has a result too
    assert lines[-1].startswith("next:   membrane report ")
    assert failure(1) == {"error": "ended with exit code 3", "traceback": ["run 1"]}
    assert failure(2)["error"] == "killed by SIGKILL"
    assert failure(3) == {"error": "its own words"}
    assert failure(4)["error"] == "no data there: say paths.data"
    assert failure(8)["error"] == "ended with exit code 0"
    assert not [seed for seed in (0, 5, 6, 7, 9) if (run_folder(seed) / "FAILED.json").exists()]


def test_started_again_only_what_is_missing_or_failed_runs(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(seed0="finish()", seed1="os._exit(3)", seed2="sys.exit(75)") == 1
    before = {path: path.read_bytes() for path in run_folder(0).iterdir()}
    old = failure(1)
    capsys.readouterr()
    not_run = "assert False, 'what is finished is not run again'"
    assert sweep(seed0=not_run, seed1="os._exit(4)", seed2="finish()") == 1
    printed = capsys.readouterr().out
    assert re.search(r"finished already: runs/digits/\w+/seed0 ", printed)
    assert "2 of 3 jobs to run" in printed
    assert "sweep: 1 finished, 1 finished before, 1 failed\n" in printed
    assert {path: path.read_bytes() for path in run_folder(0).iterdir()} == before
    assert (old["error"], failure(1)["error"]) == ("ended with exit code 3", "ended with exit code 4")
    assert sweep(seed1="finish()") == 0
    assert sweep(seed0="finish()", seed1=not_run, seed2=not_run) == 0
    assert sweep("rerun=true", seed0="os._exit(5)", seed1="os._exit(5)", seed2="os._exit(5)") == 1


def test_stopped_jobs_alone_end_a_sweep_with_75(sweep: Sweep) -> None:
    assert sweep(seed0="finish()", seed1="sys.exit(75)") == 75


def test_a_sweep_that_is_told_to_stop_passes_it_on_and_waits(
    sweep: Sweep, capfd: pytest.CaptureFixture[str], ends_soon: Callable[[int], bool]
) -> None:
    saves = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); pathlib.Path('pid').write_text(str(os.getpid()))"
    waits = "while True: time.sleep(0.02)"
    stops = "while not pathlib.Path('pid').exists(): time.sleep(0.02)"
    code = sweep(
        "hydra.launcher.n_jobs=2",
        seed0=f"{saves}\n{waits}",
        seed1=f"{stops}\nos.kill(os.getppid(), signal.SIGTERM)\n{waits}",  # as if the system had sent it
        seed2="finish()",
    )
    printed = capfd.readouterr()
    assert "1/3 seed=0: stopped with a checkpoint: " in printed.out
    assert "2/3 seed=1: stopped before its first checkpoint: " in printed.out
    assert "sweep: 0 finished, 0 failed, 2 stopped" in printed.out
    assert printed.err.startswith("membrane: stopped by SIGTERM with a checkpoint; start it again")
    assert code == 75
    assert not list(Path("runs").glob("digits/*/seed2"))
    assert not list(Path("runs").rglob("FAILED.json"))
    assert ends_soon(int(Path("pid").read_text()))


def test_jobs_that_are_stopped_before_any_checkpoint_leave_nothing_to_go_on_with(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    stops_sweep = "os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(1000)"
    assert sweep("hydra.launcher.n_jobs=1", seed0=stops_sweep, seed1="finish()") == 143
    printed = capsys.readouterr()
    assert "1/2 seed=0: stopped before its first checkpoint: " in printed.out
    assert "stopped by SIGTERM without a checkpoint" in printed.err


def test_a_job_that_does_not_save_in_time_is_killed_and_the_sweep_says_so(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "STOP_GRACE", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(1000)"
    assert sweep("hydra.launcher.n_jobs=1", seed0=deaf, seed1="finish()") == 143
    assert "1/2 seed=0: stopped before its first checkpoint: " in capsys.readouterr().out
    assert not list(Path("runs").rglob("FAILED.json"))


def test_a_run_that_another_process_holds_is_left_alone(sweep: Sweep, raw: dict[str, Any], tmp_path: Path) -> None:
    assert sweep(seed0="os._exit(3)") == 1
    folder = run_folder(0)
    (folder / "FAILED.json").unlink()
    run = RunFolder(check({**raw, "paths": {"run": str(tmp_path / "elsewhere")}}))
    run.path = folder
    with run.locked():
        assert sweep() == 1
    assert not (folder / "FAILED.json").exists()


def test_more_threads_than_cores_are_warned_of_once(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "available_cores", lambda: 3)
    scripts = {f"seed{seed}": "finish()" for seed in range(2)}
    assert sweep("hydra.launcher.n_jobs=2", "threads=2", **scripts) == 0
    assert capsys.readouterr().out.count("n_jobs=2 × threads=2 on 3 cores: they slow each other down\n") == 1
    assert sweep("hydra.launcher.n_jobs=2", "threads=1", **scripts) == 0
    assert "slow each other" not in capsys.readouterr().out


def test_the_same_run_twice_gets_one_process_and_nothing_is_checked_twice(
    sweep: Sweep, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "runnable_config", lambda *_: pytest.fail("composed and checked again"))
    assert sweep("name=x,x", "hydra.launcher.n_jobs=2", seed0="finish()") == 0
    printed = capsys.readouterr().out
    assert "1 of 2 jobs to run, 1 at once (hydra.launcher.n_jobs); " in printed
    assert re.search("^2/2 .* name=x: the same run as 1/2 ", printed, re.MULTILINE)


def write_user_module(tmp_path: Path) -> list[str]:
    """Write a user's own model, and return the arguments by which a sweep takes it."""
    (tmp_path / "their_package.py").write_text(USER_MODULE)
    (tmp_path / "mine" / "model").mkdir(parents=True, exist_ok=True)
    (tmp_path / "mine" / "model" / "net.yaml").write_text("_target_: their_package.Net\nnumber: 0\n")
    theirs = ["--config-dir", "mine", "model=net", "trust=[their_package.Net]", "-m", "hydra/launcher=processes"]
    return [*theirs, "logger=csv", "epochs=1", "timesteps=2", "threads=1", "figures=false"]


def start_real_sweep(tmp_path: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a sweep of a user's own model from the command line."""
    arguments = write_user_module(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *arguments, *overrides],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_real_run(
    tmp_path: Path,
    membrane: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever is odd in an override reaches the run as it was typed."""
    odd = "da ta;$(touch TOUCHED) {}*é"
    arguments = write_user_module(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert membrane(*arguments, f"paths.data='{odd}'") == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == "sweep: 1 finished, 0 failed"
    [result] = tmp_path.glob("runs/*/*/*/result.json")
    assert f"data: {odd}\n" in (result.parent / "config.yaml").read_text()
    assert json.loads((result.parent / "provenance.json").read_text())["command"][:2] == ["membrane", "train"]
    assert {path.name for path in tmp_path.iterdir()} <= {"runs", "mine", "their_package.py", "__pycache__"}


@pytest.mark.slow
def test_of_twelve_jobs_four_fail_each_in_its_way_and_only_they_run_again(tmp_path: Path) -> None:
    for number, script in {
        2: "raise RuntimeError('broken net')",
        5: "os._exit(3)",
        7: "os.kill(os.getpid(), signal.SIGKILL)",
        11: "self.head.weight.data.fill_(float('nan'))",
    }.items():
        (tmp_path / f"script{number}").write_text(script)
    overrides = ("model.number=range(12)", "hydra.launcher.n_jobs=2")
    first = start_real_sweep(tmp_path, *overrides)
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
    for path in tmp_path.glob("script*"):
        path.unlink()
    again = start_real_sweep(tmp_path, *overrides)
    out, _ = again.communicate(timeout=1200)
    assert again.returncode == 0
    assert out.count("finished already: ") == 8
    assert "4 of 12 jobs to run" in out
    assert out.splitlines()[-1] == "sweep: 4 finished, 8 finished before, 0 failed"
    assert {path: path.read_bytes() for path in before} == before
    assert all((folder / "result.json").exists() and not (folder / "FAILED.json").exists() for folder in failed)


@pytest.mark.slow
def test_a_real_sweep_that_is_told_to_stop_leaves_no_process_and_goes_on(
    tmp_path: Path, ends_soon: Callable[[int], bool]
) -> None:
    (tmp_path / "script0").write_text("Path('pid').write_text(str(os.getpid())); time.sleep(0.2)")
    overrides = ("model.number=0,1", "hydra.launcher.n_jobs=1", "epochs=3")
    sweep = start_real_sweep(tmp_path, *overrides)
    checkpoints = "runs/digits/*/seed0/checkpoints/last.ckpt"
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob(checkpoints)) and time.monotonic() < deadline and sweep.poll() is None:
        time.sleep(0.1)
    sweep.send_signal(signal.SIGTERM)
    _, err = sweep.communicate(timeout=600)
    assert sweep.returncode == 75, err
    assert ends_soon(int((tmp_path / "pid").read_text()))
    assert not list(tmp_path.rglob("FAILED.json"))
    (tmp_path / "script0").unlink()
    again = start_real_sweep(tmp_path, *overrides)
    out, _ = again.communicate(timeout=600)
    assert (again.returncode, out.splitlines()[-1]) == (0, "sweep: 2 finished, 0 failed")


def test_a_job_whose_folder_another_process_holds_has_not_failed(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    held = "print(f'membrane: {folder} is being run by process 1 on x; wait for it', file=sys.stderr); sys.exit(1)"
    assert sweep(seed0="finish()", seed1=held) == 0
    printed = capsys.readouterr().out
    assert "sweep: 1 finished, 0 failed, 1 run by another process\n" in printed
    assert re.search(r"2/2 seed=1: runs/digits/\w+/seed1 is being run by process 1 on x; wait for it\n", printed)
    assert not (run_folder(1) / "FAILED.json").exists()
