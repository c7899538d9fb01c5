"""A sweep in one process: its record, how its jobs end, what it ends with."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.runs.stopping import Pruned, Stopped
from membrane.sweep import folder as sweeps
from membrane.sweep.folder import Tally, begin, claimed
from membrane.sweep.jobs import Job, jobs_of
from membrane.training import run as train

Run = Callable[..., int]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, BaseException]]:
    """Runs that train nothing: seed → what is raised; a seed that is not in it leaves a result."""
    how: dict[int, BaseException] = {}

    def run(config: Any, said: Any, place: Any, stop: Any) -> None:
        if config.seed in how:
            raise how[config.seed]
        place.write("result.json", {"seed": config.seed, "metrics": {"test/acc": 0.5}})

    monkeypatch.setattr(train, "train", run)
    return how


def left() -> dict[str, str]:
    """Seed → which of the two files a run left."""
    found = [path for path in Path("runs").glob("digits/*/*/*.json") if path.stem in ("result", "FAILED")]
    return {path.parent.name.removeprefix("seed"): path.stem for path in found}


def checked_jobs(*typed: str, raw: dict[str, Any] | None = None) -> list[tuple[Job, Any]]:
    composer = Composer()
    jobs, _ = jobs_of(composer, composer.free(typed), multirun=True)
    return [(job, check(resolved(job.config))) for job in jobs]


@pytest.mark.usefixtures("ends")
def test_seeds_is_a_sweep_that_takes_other_seeds(small: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("sweep=seeds", "seed=4,7") == 0
    assert left() == {"4": "result", "7": "result"}
    assert "sweep: 2 finished, 0 failed\n" in capsys.readouterr().out


def test_the_record_names_every_job_and_where_its_run_lies(small: Run, ends: dict[int, BaseException]) -> None:
    assert small("-m", "seed=0,1", "paths.runs=elsewhere", "hydra.job.name=x") == 0
    [file] = Path("elsewhere").glob(".sweeps/*/jobs.json")
    record = json.loads(file.read_text())
    assert record["schema"] == 1
    assert record["command"][1:] == [
        *record["command"][1:-4],
        "-m",
        "seed=0,1",
        "paths.runs=elsewhere",
        "hydra.job.name=x",
    ]
    for seed, job in enumerate(record["jobs"]):
        assert f"seed={seed}" in job["overrides"]
        assert not [line for line in job["overrides"] if line.startswith("hydra")]
        assert json.loads((Path("elsewhere") / job["folder"] / "result.json").read_text())["seed"] == seed
    assert len(record["jobs"]) == 2
    assert not list(Path().rglob("multirun.yaml"))


def test_a_run_folder_that_was_said_outright_is_recorded_as_said(tmp_path: Path) -> None:
    jobs = checked_jobs("seed=1,2", f"paths.runs={tmp_path}", "paths.run=mine/${seed}")
    record = json.loads((begin([], jobs) / "jobs.json").read_text())
    assert [job["folder"] for job in record["jobs"]] == [str(Path.cwd() / "mine" / seed) for seed in "12"]


def test_nothing_secret_is_recorded(tmp_path: Path) -> None:
    [(job, config)] = checked_jobs("seed=1", f"paths.runs={tmp_path}")
    spied = Job([*job.overrides, "logger.api_key=abcdef"], job.config)
    text = (begin(["logger.api_key=abcdef", "-m"], [(spied, config)]) / "jobs.json").read_text()
    assert "abcdef" not in text
    assert text.count("logger.api_key=***") == 2


def test_jobs_that_a_sweeper_decides_on_later_are_not_recorded(tmp_path: Path) -> None:
    [(job, config)] = checked_jobs("seed=1", f"paths.runs={tmp_path}")
    folder = begin([], [(Job(job.overrides, job.config, typical=True), config)])
    assert folder.is_dir()
    assert not list(folder.iterdir())


def test_sweeps_that_begin_in_the_same_second_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001

    monkeypatch.setattr(sweeps, "datetime", Clock)
    names = [claimed(tmp_path / "runs" / ".sweeps").name for _ in range(3)]
    assert names == ["2026-01-02T03-04-05", "2026-01-02T03-04-05.2", "2026-01-02T03-04-05.3"]


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    jobs = checked_jobs("seed=1", f"paths.runs={tmp_path}")
    (tmp_path / ".sweeps").touch()
    with pytest.raises(ConfigError, match=f"^paths.runs={tmp_path}: .*: (File exists|Not a directory)$"):
        begin([], jobs)


@pytest.mark.parametrize(
    ("error", "said"), [(SystemExit(3), "SystemExit: 3"), (ZeroDivisionError("by zero"), "by zero")], ids=repr
)
def test_whatever_a_job_raises_is_one_failed_job(
    error: BaseException,
    said: str,
    small: Run,
    ends: dict[int, BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends[1] = error
    assert small("-m", "seed=0,1,2") == 1
    assert left() == {"0": "result", "1": "FAILED", "2": "result"}
    [failed] = Path("runs").glob("digits/*/seed1/FAILED.json")
    content = json.loads(failed.read_text())
    assert content["error"] == said
    assert "raise how[config.seed]" in content["traceback"]
    printed = capsys.readouterr()
    assert "sweep: 2 finished, 1 failed\n" in printed.out
    assert "Traceback" not in printed.out + printed.err
    assert "see runs/digits/" in printed.out
    del ends[1]
    ends[0] = ends[2] = AssertionError("what is finished is not run again")
    assert small("-m", "seed=0,1,2") == 0
    assert left()["1"] == "result"


def test_what_happens_before_a_run_begins_fails_that_job_alone(
    small: Run, ends: dict[int, BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = train.run

    def run(config: Any, *arguments: Any) -> None:
        if config.seed == 0:
            raise OSError(28, "No space left on device", "runs/digits")
        if config.seed == 1:
            raise LookupError("a mistake of ours")
        original(config, *arguments)

    monkeypatch.setattr(train, "run", run)
    assert small("-m", "seed=0,1,2") == 1
    assert left() == {"1": "FAILED", "2": "result"}
    said = capsys.readouterr().out
    assert "membrane: the run's folder cannot be used: runs/digits: No space left on device\n" in said
    assert "failed: LookupError: a mistake of ours; see runs/digits/" in said


def test_what_cannot_be_recorded_is_printed(
    small: Run, ends: dict[int, BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from membrane.runs.folder import RunFolder

    def full(self: RunFolder, name: str, content: Any) -> None:
        if name == "FAILED.json":
            raise OSError(28, "No space left on device", name)
        original(self, name, content)

    original = RunFolder.write
    monkeypatch.setattr(RunFolder, "write", full)
    ends[0] = SystemExit(3)
    assert small() == 1
    said = capsys.readouterr().out
    assert "failed: SystemExit: 3\nTraceback" in said
    assert "raise how[config.seed]" in said


def test_a_pruned_job_is_neither_finished_nor_failed(
    small: Run, ends: dict[int, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    ends[1] = Pruned()
    assert small("-m", "seed=0,1,2") == 0
    assert left() == {"0": "result", "2": "result"}
    said = capsys.readouterr().out
    assert said.count("pruned: runs/digits/") == 1
    assert "sweep: 2 finished, 0 failed, 1 pruned\n" in said


def test_a_stop_ends_the_sweep(small: Run, ends: dict[int, BaseException]) -> None:
    ends[1] = Stopped("SIGTERM", 143)
    assert small("-m", "seed=0,1,2") == 143
    assert left() == {"0": "result"}


def test_a_signal_between_jobs_ends_the_sweep(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(config: Any, said: Any, place: Any, stop: Any) -> None:
        place.write("result.json", {"seed": config.seed, "metrics": {}})
        if config.seed == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train, "train", run)
    assert small("-m", "seed=0,1,2") == 143
    assert left() == {"0": "result", "1": "result"}


@pytest.mark.parametrize(
    ("tally", "code"),
    [(Tally(), 0), (Tally(3, pruned=1), 0), (Tally(3, failed=1, stopped=1), 1), (Tally(3, stopped=1), 75)],
)
def test_what_a_sweep_ends_with(tally: Tally, code: int) -> None:
    assert tally.code() == code


def test_a_job_sees_the_command_line_as_it_was_typed(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from membrane.runs import provenance

    seen = []
    monkeypatch.setattr(train, "train", lambda *_: seen.append(provenance.command_line()[1:]))
    small("-m", "seed=0,1")
    assert [line[-2:] for line in seen] == [["-m", "seed=0,1"]] * 2
