"""`membrane-status`: run folders as they are after every ending, and what is said of them."""

import fcntl
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from membrane.cli import status
from membrane.runs.standing import failure, holder
from membrane.runs.survey import survey

NOW = 1_800_000_000.0
HEADER = "epoch,step,seconds,lr,train/loss,train/acc,val/loss,val/acc"
HOLDER = """
import sys
from pathlib import Path
from membrane.runs.folder import RunFolder
place = RunFolder.__new__(RunFolder)
place.path = Path(sys.argv[1])
with place.held():
    print("held", flush=True)
    sys.stdin.readline()
"""
TRACEBACK = """Traceback (most recent call last):
  File "/somewhere/job.py", line 75, in guarded
    run(config)
  File "/somewhere/learner.py", line 12, in step
    raise RuntimeError("it broke\\nbadly")
RuntimeError: it broke
badly
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder of runs."""
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def begun(folder: Path, epochs: int = 20, seed: int = 0, checkpoint: bool = False) -> Path:
    """What a run writes first, and its checkpoint, if it has one."""
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"fingerprint": folder.parent.name, "seed": seed}))
    (folder / "config.yaml").write_text(f"name: x\nmodel:\n  epochs: 7\nepochs: {epochs}\nbatch_size: 64\n")
    if checkpoint:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()
    return folder


def done(folder: Path, seconds: float = 10.0, changed: float = NOW, **metrics: float) -> Path:
    """A finished run."""
    begun(folder)
    result = {"metrics": {"val/acc": 0.5, **metrics}, "fit_seconds": seconds, "epochs": 20, "unheard": "of"}
    (folder / "result.json").write_text(json.dumps(result))
    os.utime(folder / "result.json", (changed, changed))
    os.utime(folder, (changed, changed))
    return folder


def failed(folder: Path, error: str = "it broke", traceback: str = TRACEBACK) -> Path:
    """A run that failed."""
    begun(folder)
    (folder / "FAILED.json").write_text(json.dumps({"error": error, "traceback": traceback}))
    return folder


def trained(folder: Path, epochs: int, seconds: float = 10.0, age: float = 0.0) -> None:
    """Rows of so many epochs, each of 20 steps and so long, the last of them ``age`` seconds old at `NOW`."""
    lines = [HEADER]
    for epoch in range(epochs):
        end = (epoch + 1) * seconds
        lines += [
            f"{epoch},{epoch * 20 + 20},{end - 1},0.1,0.5,0.9,,",
            f"{epoch},{epoch * 20 + 20},{end},0.1,,,0.6,0.8",
        ]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    os.utime(folder / "metrics.csv", (NOW - age, NOW - age))


@pytest.fixture
def held() -> Iterator[Callable[..., int]]:
    """Have a process hold a run's folder, since long before `NOW`; the process's number."""
    others = []

    def hold(folder: Path) -> int:
        command = [sys.executable, "-c", HOLDER, str(folder)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        others.append(other)
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        os.utime(lock_of(folder), (NOW - 10_000, NOW - 10_000))
        return other.pid

    yield hold
    for other in others:
        other.kill()
        other.communicate()


def lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def sweep(runs: Path, *jobs: tuple[str, list[str]], at: str = "2030-01-01T00-00-00") -> None:
    """The record of a sweep: (folder, overrides) of its jobs."""
    file = runs / ".sweeps" / at / "jobs.json"
    file.parent.mkdir(parents=True)
    content = {"schema": 1, "command": [], "jobs": [{"folder": each, "overrides": said} for each, said in jobs]}
    file.write_text(json.dumps(content))


def statuses(runs: Path) -> dict[str, str]:
    return {run.folder: run.status for run in survey(runs, NOW).runs}


def told(runs: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """(exit code, what is printed, its white space as one)."""
    code = status.main([str(runs), *options])
    return code, " ".join(capsys.readouterr().out.split())


def test_a_run_that_went_on_after_it_had_failed_has_not_failed(runs: Path) -> None:
    run = failed(runs / "a" / "f0" / "seed0")
    assert statuses(runs) == {"a/f0/seed0": "failed"}
    os.utime(run / "FAILED.json", (NOW - 100, NOW - 100))
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    os.utime(run / "checkpoints", (NOW, NOW))
    assert statuses(runs) == {"a/f0/seed0": "stopped"}


def test_every_ending_has_its_status(runs: Path, tmp_path: Path, held: Callable[..., int]) -> None:
    done(runs / "a" / "f0" / "seed0")
    failed(runs / "a" / "f1" / "seed0")
    begun(runs / "a" / "f2" / "seed0", checkpoint=True)
    begun(runs / "a" / "f3" / "seed0")
    (begun(runs / "a" / "f4" / "seed0", checkpoint=True) / "PRUNE").touch()
    held(failed(runs / "a" / "f5" / "seed0"))  # what failed before is running now
    done(tmp_path / "elsewhere")
    sweep(runs, ("a/f0/seed0", []), ("a/f6/seed0", ["seed=0"]), (str(tmp_path / "elsewhere"), []))
    assert statuses(runs) == {
        "a/f0/seed0": "finished",
        "a/f1/seed0": "failed",
        "a/f2/seed0": "stopped",
        "a/f3/seed0": "broken off",
        "a/f4/seed0": "pruned",
        "a/f5/seed0": "running",
        "a/f6/seed0": "missing",
        str(tmp_path / "elsewhere"): "finished",
    }


def test_what_was_moved_aside_and_debug_runs_are_left_out(runs: Path) -> None:
    for name in ("a/f0/seed0", "a/f0/seed0.1", "a/f0/seed0.12", "a/f0/seed1.1", ".debug/a/f0/seed0", "mine", "mine.1"):
        done(runs / name)
    other = done(runs / "mine.2")
    (other / "provenance.json").write_text(json.dumps({"fingerprint": "another", "seed": 0}))
    done(runs / "a.1" / "f0" / "seed0")  # a name of its own
    sweep(runs, (".debug/a/f0/seed9", []))
    assert set(statuses(runs)) == {"a/f0/seed0", "mine", "mine.2", "a.1/f0/seed0"}
    assert set(statuses(runs / "a" / "f0" / "seed0.1")) == {str(runs / "a" / "f0" / "seed0.1")}  # asked for outright


def test_a_link_that_leads_back_is_followed_once(runs: Path) -> None:
    done(runs / "a" / "f0" / "seed0")
    (runs / "a" / "back").symlink_to(runs)
    (runs / "a" / "nowhere").symlink_to(runs / "gone")
    assert len(statuses(runs)) == 1


def test_a_job_of_several_sweeps_is_one_row_with_what_was_typed_last(runs: Path) -> None:
    sweep(runs, ("a/f1/seed0", ["lr=1"]), ("a/f1/seed1", ["lr=1", "seed=1"]), at="2030-01-01T00-00-00")
    sweep(runs, ("a/f1/seed0", ["optimizer.lr=1"]), (str(runs / "a/f1/seed0"), ["twice"]), at="2030-01-02T00-00-00")
    found = survey(runs, NOW)
    assert {run.folder: run.overrides for run in found.runs} == {
        "a/f1/seed0": ["twice"],
        "a/f1/seed1": ["lr=1", "seed=1"],
    }
    begun(runs / "a" / "f1" / "seed1")
    assert statuses(runs) == {"a/f1/seed0": "missing", "a/f1/seed1": "broken off"}


def test_newest_first_and_runs_of_a_name_together(runs: Path) -> None:
    for name, age in (("old/f0/seed0", 50), ("new/f0/seed0", 90), ("old/f1/seed0", 70), ("new/f0/seed1", 10)):
        done(runs / name, changed=NOW - age)
    assert list(statuses(runs)) == ["new/f0/seed1", "new/f0/seed0", "old/f0/seed0", "old/f1/seed0"]


def test_a_running_run_says_how_far_it_is_and_who_runs_it(runs: Path, held: Callable[..., int]) -> None:
    folder = begun(runs / "a" / "f0" / "seed0", epochs=20)
    trained(folder, epochs=5, seconds=10, age=4)
    process = held(folder)
    [run] = survey(runs, NOW).runs
    assert run.process == f"process {process} on {socket.gethostname()}"
    assert (run.epoch, run.epochs, run.seconds, run.age) == (5, 20, 50, pytest.approx(4, abs=1e-3))
    assert run.left == pytest.approx(15 * 10 - 4, abs=1e-3)
    assert not run.silent
    assert status.remark(run) == f"last sign of life 4 s ago; {run.process}"


def test_from_inside_a_run(runs: Path, held: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun(runs / "a" / "f0" / "seed0")
    held(folder)
    monkeypatch.chdir(folder)
    assert statuses(Path()) == {".": "running"}


def test_a_run_is_silent_when_its_last_row_is_old(runs: Path, held: Callable[..., int]) -> None:
    folder = begun(runs / "a" / "f0" / "seed0")
    held(folder)
    for seconds, age, silent in ((10, 61, True), (10, 59, False), (300, 1000, False), (300, 1300, True)):
        trained(folder, epochs=2, seconds=seconds, age=age)  # rows one second and seconds - 1 apart
        [run] = survey(runs, NOW).runs
        assert (run.silent, run.left is None) == (silent, silent), (seconds, age)
    assert "silent for 21 min" in status.remark(run)
    assert status.summary(survey(runs, NOW)) == "1 running (1 silent)"
    os.utime(lock_of(folder), (NOW - 5, NOW - 5))  # it was resumed just now
    assert not survey(runs, NOW).runs[0].silent


def test_a_run_before_its_first_row(runs: Path, held: Callable[..., int]) -> None:
    folder = begun(runs / "a" / "f0" / "seed0")
    held(folder)
    os.utime(lock_of(folder), (NOW - 130, NOW - 130))
    [run] = survey(runs, NOW).runs
    assert (run.status, run.epoch, run.left, status.epoch(run)) == ("running", None, None, "–/20")
    assert status.remark(run).startswith("no row for 2 min; process ")


def test_a_lock_is_looked_at_and_neither_taken_nor_changed(runs: Path, held: Callable[..., int]) -> None:
    folder = runs / "a" / "f0" / "seed0"
    assert holder(lock_of(folder)) == (None, 0.0)
    folder.parent.mkdir(parents=True)
    process = held(folder)
    said = f"process {process} on {socket.gethostname()}"
    assert holder(lock_of(folder)) == (said, NOW - 10_000)
    assert lock_of(folder).read_text() == said
    os.kill(process, 9)
    os.waitpid(process, 0)
    assert holder(lock_of(folder))[0] is None
    assert lock_of(folder).read_text() == said


def test_the_lock_of_a_process_that_is_gone_is_not_even_tried(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock = runs / ".seed0.lock"

    def tried(*arguments: Any) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", tried)
    here = socket.gethostname()
    for text, found in (
        (f"process {ended.pid} on {here}", None),
        (f"process {2**70} on {here}", None),
        ("", None),
        (f"process {os.getpid()} on {here}", f"process {os.getpid()} on {here}"),
        (f"process {ended.pid} on elsewhere", f"process {ended.pid} on elsewhere"),
    ):
        lock.write_text(text)
        assert holder(lock)[0] == found, text


def test_a_run_that_finishes_while_it_is_looked_at_is_finished(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun(runs / "a" / "f0" / "seed0", checkpoint=True)

    def ending(lock: Path) -> tuple[None, float]:
        result = {"metrics": {}, "fit_seconds": 1.0, "epochs": 2}
        (folder / "result.json").write_text(json.dumps(result))
        return None, 0.0

    monkeypatch.setattr("membrane.runs.standing.holder", ending)
    assert statuses(runs) == {"a/f0/seed0": "finished"}


def test_why_a_run_failed_in_one_line() -> None:
    assert failure({"error": "it broke", "traceback": TRACEBACK}) == "RuntimeError: it broke (learner.py:12)"
    assert failure({"error": "killed by signal 9", "traceback": ""}) == "killed by signal 9"
    assert failure({"error": "two\nlines"}) == "two"
    assert failure({"error": ""}) == "unknown"


DAMAGE = {
    "result.json": ["{", "[]", "{}", '{"metrics": {"test/acc": null}, "fit_seconds": 1, "epochs": 1}', "\xff"],
    "FAILED.json": ["{", "[]", "{}"],
    "provenance.json": ["{"],
    "metrics.csv": ["", "a,b\n1,2\n"],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, some in DAMAGE.items() for each in some])
def test_a_damaged_file_is_named_and_the_others_are_told(
    runs: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done(runs / "a" / "f0" / "seed0", **{"test/acc": 0.9417})
    folder = begun(runs / "a" / "f1" / "seed0", checkpoint=True)
    (folder / name).write_bytes(content.encode("latin1"))
    code, said = told(runs, capsys=capsys)
    assert "acc 94.17 %" in said
    assert name == "provenance.json" or f"{name}: damaged (" in said
    expected = {"result.json": "damaged", "FAILED.json": "failed"}.get(name, "stopped")
    assert said.endswith(f"1 finished, 1 {expected}")
    assert code == (0 if expected == "stopped" else 1)


def test_a_damaged_record_of_a_sweep_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(runs, ("a/f0/seed0", []))
    for name, content in (("one", "{"), ("two", '{"jobs": [{"folder": "x"}]}'), ("three", '{"jobs": 3}')):
        (runs / ".sweeps" / name).mkdir()
        (runs / ".sweeps" / name / "jobs.json").write_text(content)
    _, said = told(runs, capsys=capsys)
    assert "".join(said.split()).count("jobs.json:damaged(") == 3, "a long path may break the line anywhere"
    assert said.endswith("1 missing")


def test_the_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done(runs / "a" / "f0" / "seed0", **{"test/acc": 0.9417, "test/loss": 0.1})
    done(runs / "b" / "f0" / "seed0", **{"test/mae": 41.23456})
    failed(runs / "a" / "f1" / "seed0")
    sweep(runs, ("a/f0/seed0", ["seed=0"]), ("a/f2/seed0", ["seed=2", "optimizer.lr=0.1"]))
    assert status.main([str(runs)]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "run status epoch test left"
    assert set(lines[1]) == {"─"}
    assert "a/f0/seed0 finished 20 acc 94.17 % seed=0" in lines
    assert "b/f0/seed0 finished 20 mae 41.2346" in lines
    assert "a/f1/seed0 failed RuntimeError: it broke (learner.py:12)" in lines
    assert "a/f2/seed0 missing seed=2 optimizer.lr=0.1" in lines
    assert lines[-1] == "2 finished, 1 failed, 1 missing"


def test_what_a_terminal_would_obey_is_not_sent_to_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed(runs / "a" / "f0" / "seed0", error="\x1b[2Jgone [bold]x[/bold]", traceback="")
    _, said = told(runs, capsys=capsys)
    assert "\x1b" not in said
    assert "gone [bold]x[/bold]" in said


def test_a_long_remark_is_wrapped_whole(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"setting{n}={n}" for n in range(40)]
    sweep(runs, ("a/f0/seed0", words), ("a/" + "long" * 20 + "/f0/seed0", words))
    status.main([str(runs)])
    printed = capsys.readouterr().out
    assert all(printed.split().count(word) == 2 for word in words[:-1])
    assert max(map(len, printed.splitlines())) <= 110


def test_time_left_of_what_runs_and_what_is_missing(runs: Path, held: Callable[..., int]) -> None:
    assert survey(runs, NOW).left() is None
    first = begun(runs / "a" / "f0" / "seed0", epochs=10)
    trained(first, epochs=4, seconds=10)  # 60 s left of 100 s
    held(first)
    assert survey(runs, NOW).left() == pytest.approx(60)
    sweep(runs, *((f"a/f{n}/seed0", []) for n in range(4)))
    assert survey(runs, NOW).left() == pytest.approx(60 + 3 * 100)
    second = begun(runs / "a" / "f1" / "seed0", epochs=10)
    trained(second, epochs=8, seconds=10)  # 20 s left
    held(second)
    found = survey(runs, NOW)
    assert found.left() == pytest.approx((60 + 20 + 2 * 100) / 2)
    assert status.summary(found) == "2 running, 2 missing; about 2:20 left"


def test_json_has_every_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done(runs / "a" / "f0" / "seed0", **{"test/acc": 0.9, "test/loss": float("nan")})
    failed(runs / "a" / "f1" / "seed0")
    assert status.main([str(runs), "--json"]) == 1
    rows = {row["folder"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["a/f0/seed0"]["metrics"] == {"val/acc": 0.5, "test/acc": 0.9, "test/loss": None}
    assert (rows["a/f1/seed0"]["status"], rows["a/f1/seed0"]["error"]) == (
        "failed",
        "RuntimeError: it broke (learner.py:12)",
    )


def test_what_is_refused_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, why in (
        ([str(runs / "gone")], "no such folder"),
        ([str(runs), "--wach"], "--wach: no such option"),
        ([str(runs), str(runs)], "one folder of runs is needed, got 2"),
        (["--watch"], "one folder of runs is needed, got 0"),
        ([str(runs), "--watch", "--json"], "leave one of them out"),
    ):
        assert status.main(arguments) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("membrane: ")
        assert why in line
    assert status.main([]) == 2
    assert status.main(["--help"]) == 0
    assert capsys.readouterr().out.splitlines() == [status.USAGE] * 2
    assert status.main([str(runs)]) == 0
    assert capsys.readouterr().out == "no runs\n"


def screen(lines: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=lines)


def test_a_watch_ends_when_nothing_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = failed(runs / "a" / "f0" / "seed0")
    looks = []

    def look(*arguments: Any) -> tuple[str | None, float]:
        looks.append(None)
        return ("process 1 on x" if len(looks) <= status.LOOKS + 1 else None), NOW

    monkeypatch.setattr("membrane.runs.standing.holder", look)
    shown = screen(40)
    assert status.watch(runs, interval=0, onto=shown) == 1
    assert len(looks) == status.LOOKS + 2
    looks += [None] * status.LOOKS
    drawn = shown.file.getvalue()  # type: ignore[attr-defined]
    assert drawn.index("1 running") < drawn.index("1 failed")
    (folder / "FAILED.json").unlink()  # it may be about to start again: three looks
    assert status.watch(runs, interval=0, onto=screen(40)) == 0
    assert len(looks) == 2 + 3 * status.LOOKS


def test_ctrl_c_ends_a_watch(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(runs / "a" / "f0" / "seed0")

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", stop)
    assert status.main([str(runs), "--watch"]) == 0


def test_a_small_screen_shows_what_is_urgent(runs: Path) -> None:
    for seed in range(30):
        done(runs / "a" / "f0" / f"seed{seed}", seed=seed)
    failed(runs / "a" / "f1" / "seed0", error="long " * 100, traceback="")
    shown = screen(12)
    shown.print(status.page(survey(runs, NOW), 100, room=12))
    lines = shown.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= 12
    assert "a/f1/seed0" in lines[2]
    assert "and 24 more" in lines[-2]
    assert "30 finished, 1 failed" in lines[-1]


def test_a_real_run(small: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert small("epochs=2") == 0
    assert small("seed=1", "optimizer.lr=1e30", "epochs=2") == 1
    capsys.readouterr()
    assert status.main(["runs", "--json"]) == 1
    rows = {row["status"]: row for row in json.loads(capsys.readouterr().out)}
    [result] = Path("runs").glob("*/*/*/result.json")
    assert rows["finished"]["folder"] == str(result.parent.relative_to("runs"))
    assert rows["finished"]["metrics"] == json.loads(result.read_text())["metrics"]
    assert (rows["finished"]["epoch"], rows["failed"]["epochs"]) == (2, 2)
    assert rows["failed"]["error"]


def test_nothing_heavy_is_imported() -> None:
    asked = "import sys, membrane.cli.status as s; s.main(sys.argv[1:]); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", asked, "."], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert not {"torch", "pydantic", "omegaconf", "hydra"} & set(answer.stdout.split())
