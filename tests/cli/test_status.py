"""`membrane status`: run folders as they are after every ending, and what is said of them."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from commands import status as run_status
from rich.console import Console
from run_folders import NOW, failed_run, finished_run, lock_of, record_sweep, unfinished_run

from membrane.cli import status
from membrane.runs.standing import Run
from membrane.runs.survey import Survey, survey


def told(runs: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """(exit code, what is printed, its white space as one)."""
    code = run_status([str(runs), *options])
    return code, " ".join(capsys.readouterr().out.split())


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
    finished_run(runs / "a" / "f0" / "seed0", **{"test/acc": 0.9417})
    folder = unfinished_run(runs / "a" / "f1" / "seed0", checkpoint=True)
    (folder / name).write_bytes(content.encode("latin1"))
    code, said = told(runs, capsys=capsys)
    assert "acc 94.17 %" in said
    assert name == "provenance.json" or f"{name}: damaged (" in said
    expected = {"result.json": "damaged", "FAILED.json": "failed"}.get(name, "stopped")
    assert said.endswith(f"1 finished, 1 {expected}")
    assert code == (0 if expected == "stopped" else 1)


RESULTS = (
    *("Infinity", "[" * 200_000, '{"a": ' * 200_000, "\0", '"text"', "{", "[]"),
    *(f'{{"metrics": {{"test/acc": 0.9}}, "fit_seconds": 1, "epochs": {each}}}' for each in ("Infinity", "9" * 400)),
    *(f'{{"metrics": {{"test/acc": {each}}}, "fit_seconds": 1, "epochs": 1}}' for each in ("9" * 400, "[0.9]", "{}")),
    '{"metrics": {}, "fit_seconds": 1e400, "epochs": 1}',
)


def test_one_damaged_result_hides_no_other_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(runs / "good" / "f0" / "seed0", **{"test/acc": 0.9417})
    for n, content in enumerate(RESULTS):
        finished_run(runs / "a" / f"f{n}" / "seed0")
        (runs / "a" / f"f{n}" / "seed0" / "result.json").write_text(content)
    code, said = told(runs, capsys=capsys)
    assert "acc 94.17 %" in said
    assert said.endswith(f"1 finished, {len(RESULTS)} damaged")
    assert code == 1
    code = run_status([str(runs), "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert [each["status"] for each in listed].count("damaged") == len(RESULTS)
    assert all(len(each["damaged"]) == 1 for each in listed if each["status"] == "damaged")
    assert code == 1


NAMES = ("config.yaml", "metrics.csv", "FAILED.json", "provenance.json", "checkpoints")
OTHERS: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "folder": Path.mkdir,
    "link to itself": lambda path: path.symlink_to(path),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "1 TiB of nothing": lambda path: path.touch() or os.truncate(path, 1 << 40),
}


def test_what_is_no_file_of_a_run_is_neither_waited_for_nor_read_whole(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, this waited for the first FIFO until it was killed."""
    finished_run(runs / "good" / "f0" / "seed0", **{"test/acc": 0.9417})
    for n, (name, (what, put)) in enumerate(product((*NAMES, "result.json"), OTHERS.items())):
        folder = unfinished_run(runs / f"{what}" / f"{name}{n}" / "seed0")
        (folder / name).unlink(missing_ok=True)
        put(folder / name)
    os.mkfifo(lock_of(unfinished_run(runs / "lock" / "f0" / "seed0")))
    (runs / "itself").symlink_to(runs / "itself")
    (runs / ".sweeps" / "x").mkdir(parents=True)
    os.mkfifo(runs / ".sweeps" / "x" / "jobs.json")
    code, said = told(runs, capsys=capsys)
    assert "acc 94.17 %" in said
    assert said.count("result.json: ") == len(OTHERS)
    assert "jobs.json: a pipe (FIFO)" in said
    assert code == 1


def test_a_job_that_names_an_impossible_folder_hides_no_other(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(runs / "good" / "f0" / "seed0", **{"test/acc": 0.9417})
    record_sweep(runs, ("a/f0/\0", []), ("\ud800/f0/seed0", []), ("good/f0/seed0", ["seed=0"]))
    code, said = told(runs, capsys=capsys)
    assert "acc 94.17 % seed=0" in said
    assert said.endswith("1 finished, 2 damaged")
    assert code == 1


def test_a_damaged_record_of_a_sweep_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_sweep(runs, ("a/f0/seed0", []))
    for name, content in (("one", "{"), ("two", '{"jobs": [{"folder": "x"}]}'), ("three", '{"jobs": 3}')):
        (runs / ".sweeps" / name).mkdir()
        (runs / ".sweeps" / name / "jobs.json").write_text(content)
    _, said = told(runs, capsys=capsys)
    assert "".join(said.split()).count("jobs.json:damaged(") == 3, "a long path may break the line anywhere"
    assert said.endswith("1 missing")


def test_what_is_said_of_a_run() -> None:
    running = Run("a", "running", epochs=20, age=130.0, process="process 1 on x")
    assert (status.epochs_text(running), status.run_remark(running)) == ("–/20", "no row for 2 min; process 1 on x")
    going = Run("a", "running", completed=3, epochs=20, age=4.0, process="process 1 on x")
    assert (status.epochs_text(going), status.run_remark(going)) == (
        "3/20",
        "last sign of life 4 s ago; process 1 on x",
    )
    silent = Run("a", "running", completed=3, silent=True, age=1300.0)
    assert (status.epochs_text(silent), status.run_remark(silent)) == ("3/?", "silent for 21 min")


def test_a_run_that_finish_ended_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = "finish=true after 2 of 5 epochs"
    for name, others in (("short", {"ended": ended}), ("whole", {})):
        path = finished_run(runs / f"{name}/f/seed0") / "result.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **others}))
    _, page = told(runs, capsys=capsys)
    assert page.count(ended) == 1
    assert page.index("short/f/seed0") < page.index(ended) < page.index("whole/f/seed0")


def test_the_summary() -> None:
    running = Run("a", "running", completed=3, seconds=30.0, left=60.0)
    silent = Run("a", "running", completed=3, silent=True)
    assert status.survey_summary(Survey([silent], [])) == "1 running (1 silent)"
    two = [running, Run("b", "running", completed=8, seconds=80.0, left=20.0)]
    missing = [Run("c"), Run("d")]  # each taken to be 95 s: two work at (60 + 20 + 2 * 95) s together
    assert status.survey_summary(Survey([*two, *missing], [])) == "2 running, 2 missing; about 2:15 left"
    assert status.survey_summary(Survey([], [])) == "no runs"


def test_the_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(runs / "a" / "f0" / "seed0", **{"test/acc": 0.9417, "test/loss": 0.1})
    finished_run(runs / "b" / "f0" / "seed0", **{"test/mae": 41.23456})
    failed_run(runs / "a" / "f1" / "seed0")
    record_sweep(runs, ("a/f0/seed0", ["seed=0"]), ("a/f2/seed0", ["seed=2", "optimizer.lr=0.1"]))
    assert run_status([str(runs)]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "run status epochs test left"
    assert set(lines[1]) == {"─"}
    assert "a/f0/seed0 finished 20 acc 94.17 % seed=0" in lines
    assert "b/f0/seed0 finished 20 mae 41.2346" in lines
    assert "a/f1/seed0 failed RuntimeError: it broke (learner.py:12)" in lines
    assert "a/f2/seed0 missing seed=2 optimizer.lr=0.1" in lines
    assert lines[-1] == "2 finished, 1 failed, 1 missing"


def test_what_a_terminal_would_obey_is_not_sent_to_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed_run(runs / "a" / "f0" / "seed0", error="\x1b[2Jgone [bold]x[/bold]", traceback="")
    _, said = told(runs, capsys=capsys)
    assert "\x1b" not in said
    assert "gone [bold]x[/bold]" in said


@pytest.mark.parametrize("sign", ["\x1b[2J", "\x9b2J", "\n", "\r", "\u202e", "\x07", "\u2028"])
def test_no_name_sends_a_terminal_what_it_would_obey(runs: Path, sign: str, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(runs / f"a{sign}b" / "f0" / "seed0")
    record_sweep(runs, (f"c{sign}d/f0/seed0", [f"name=e{sign}f"]))
    (runs / ".sweeps" / f"g{sign}h").mkdir()
    (runs / ".sweeps" / f"g{sign}h" / "jobs.json").write_text("{")
    run_status([str(runs)])
    printed = capsys.readouterr().out
    assert "".join(printed.split("\n")).isprintable()
    shown = " " if sign.isspace() else sign.encode("unicode_escape").decode()
    words = " ".join(printed.split())
    assert " ".join(f"a{shown}b/f0/seed0".split()) in words
    assert " ".join(f"c{shown}d/f0/seed0".split()) in words


def test_a_long_remark_is_wrapped_whole(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"setting{n}={n}" for n in range(40)]
    record_sweep(runs, ("a/f0/seed0", words), ("a/" + "long" * 20 + "/f0/seed0", words), ("a/f1/seed0", []))
    run_status([str(runs)])
    printed = capsys.readouterr().out
    assert all(printed.split().count(word) == 2 for word in words[:-1])
    assert max(map(len, printed.splitlines())) <= 110


def test_without_an_argument_the_runs_here_are_shown(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_run(runs / "a" / "f0" / "seed0")
    monkeypatch.chdir(runs.parent)
    assert run_status([]) == 0
    assert capsys.readouterr().out.endswith("1 finished\n")


def test_overrides_that_all_runs_share_are_shown_once(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["model=smlp", "epochs=3"]
    for seed in range(3):
        finished_run(runs / "a" / "f0" / f"seed{seed}", seed=seed)
    record_sweep(runs, *((f"a/f0/seed{seed}", [*shared, f"seed={seed}"]) for seed in range(3)))
    assert run_status([str(runs)]) == 0
    first, *lines = (" ".join(line.split()) for line in capsys.readouterr().out.splitlines())
    assert first == "all runs: model=smlp epochs=3"
    assert sorted(line for line in lines if " finished 20" in line) == [
        f"a/f0/seed{seed} finished 20 seed={seed}" for seed in range(3)
    ]
    assert not [line for line in lines if "epochs=3" in line]


def test_nothing_is_said_of_all_runs_if_one_is_unknown(runs: Path) -> None:
    known = [Run("a", overrides=["seed=0"]), Run("b", overrides=["seed=0", "epochs=1"])]
    assert status.common_overrides(known) == ["seed=0"]
    assert status.common_overrides([*known, Run("c")]) == []
    assert status.common_overrides(known[:1]) == []


def test_json_has_every_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(runs / "a" / "f0" / "seed0", **{"test/acc": 0.9, "test/loss": float("nan")})
    failed_run(runs / "a" / "f1" / "seed0")
    assert run_status([str(runs), "--json"]) == 1
    rows = {row["folder"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["a/f0/seed0"]["metrics"] == {"val/acc": 0.5, "test/acc": 0.9, "test/loss": None}
    assert (rows["a/f1/seed0"]["status"], rows["a/f1/seed0"]["error"]) == (
        "failed",
        "RuntimeError: it broke (learner.py:12)",
    )


def test_what_is_refused_is_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    for arguments, why in (
        ([str(runs / "gone")], "no such folder"),
        ([str(runs), "--wach"], "unrecognized arguments: --wach; see membrane status --help"),
        ([str(runs), str(runs)], "unrecognized arguments: "),
        (["--watch"], "runs: no such folder; name one that holds runs"),
        ([str(runs), "--watch", "--json"], "--json: not allowed with argument --watch"),
    ):
        assert run_status(arguments) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("membrane: ")
        assert why in line
    assert run_status([str(runs)]) == 0
    assert capsys.readouterr().out == "no runs\n"


def screen(lines: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=lines)


def test_a_watch_ends_when_nothing_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = failed_run(runs / "a" / "f0" / "seed0")
    looks = []

    def look(*arguments: Any) -> tuple[str | None, float]:
        looks.append(None)
        return ("process 1 on x" if len(looks) <= status.LOOKS + 1 else None), NOW

    monkeypatch.setattr("membrane.runs.standing.lock_holder", look)
    shown = screen(40)
    assert status.watch_runs(runs, interval=0, onto=shown) == 1
    assert len(looks) == status.LOOKS + 2
    looks += [None] * status.LOOKS
    drawn = shown.file.getvalue()  # type: ignore[attr-defined]
    assert drawn.index("1 running") < drawn.index("1 failed")
    (folder / "FAILED.json").unlink()  # it may be about to start again: three looks
    assert status.watch_runs(runs, interval=0, onto=screen(40)) == 0
    assert len(looks) == 2 + 3 * status.LOOKS


def test_ctrl_c_ends_a_watch(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished_run(runs / "a" / "f0" / "seed0")

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", stop)
    assert run_status([str(runs), "--watch"]) == 0


def test_a_small_screen_shows_what_is_urgent(runs: Path) -> None:
    for seed in range(30):
        finished_run(runs / "a" / "f0" / f"seed{seed}", seed=seed)
    failed_run(runs / "a" / "f1" / "seed0", error="long " * 100, traceback="")
    shown = screen(12)
    shown.print(status.status_page(survey(runs, NOW), 100, room=12))
    lines = shown.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= 12
    assert "a/f1/seed0" in lines[2]
    assert "and 24 more" in lines[-2]
    assert "30 finished, 1 failed" in lines[-1]


def test_a_real_run(small: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert small("epochs=2") == 0
    assert small("seed=1", "optimizer.lr=1e30", "epochs=2") == 1
    capsys.readouterr()
    assert run_status(["runs", "--json"]) == 1
    rows = {row["status"]: row for row in json.loads(capsys.readouterr().out)}
    [result] = Path("runs").glob("*/*/*/result.json")
    assert rows["finished"]["folder"] == str(result.parent.relative_to("runs"))
    assert rows["finished"]["metrics"] == json.loads(result.read_text())["metrics"]
    assert (rows["finished"]["completed"], rows["failed"]["epochs"]) == (2, 2)
    assert rows["failed"]["error"]


def test_nothing_heavy_is_imported() -> None:
    asked = "import sys; from membrane.cli.main import main; main(['status', *sys.argv[1:]]); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", asked, "."], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert not {"torch", "pydantic", "omegaconf", "hydra"} & set(answer.stdout.split())
