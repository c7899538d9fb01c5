"""A sweep's folder and its jobs.json."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from configurations import shared_composer

from membrane.config.check import check, resolved
from membrane.errors import ConfigError
from membrane.runs.survey import survey
from membrane.schema import Config
from membrane.sweep import folder as folder_module
from membrane.sweep.folder import create_sweep_folder, create_timed_folder
from membrane.sweep.jobs import Job, jobs_of


def checked_jobs(*typed: str) -> list[tuple[Job, Config]]:
    composer = shared_composer()
    jobs, _ = jobs_of(composer, composer.add_or_override(typed), multirun=True)
    return [(job, check(resolved(job.config))) for job in jobs]


@pytest.mark.usefixtures("without_training")
def test_jobs_json_names_every_job_and_where_its_run_lies(small: Callable[..., int]) -> None:
    assert small("-m", "seed=0,1", "paths.runs=elsewhere", "hydra.job.name=x") == 0
    [file] = Path("elsewhere").glob(".sweeps/*/jobs.json")
    record = json.loads(file.read_text())
    assert record["schema"] == 1
    assert record["command"][-4:] == ["-m", "seed=0,1", "paths.runs=elsewhere", "hydra.job.name=x"]
    for seed, job in enumerate(record["jobs"]):
        assert f"seed={seed}" in job["overrides"]
        assert not [line for line in job["overrides"] if line.startswith("hydra")]
        assert json.loads((Path("elsewhere") / job["folder"] / "result.json").read_text())["seed"] == seed
    assert len(record["jobs"]) == 2
    assert not list(Path().rglob("multirun.yaml"))


def test_a_run_folder_that_paths_run_sets_is_recorded_as_an_absolute_path(tmp_path: Path) -> None:
    jobs = checked_jobs("seed=1,2", f"paths.runs={tmp_path}", "paths.run=mine/${seed}")
    record = json.loads((create_sweep_folder([], jobs) / "jobs.json").read_text())
    assert [job["folder"] for job in record["jobs"]] == [str(Path.cwd() / "mine" / seed) for seed in "12"]


def test_under_a_linked_folder_of_runs_jobs_are_recorded_by_their_place_in_it(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "runs").symlink_to("scratch")
    jobs = checked_jobs("seed=1,2", f"paths.runs={tmp_path / 'runs'}")
    record = json.loads((create_sweep_folder([], jobs) / "jobs.json").read_text())
    folders = [job["folder"] for job in record["jobs"]]
    assert [Path(folder).parts[0] for folder in folders] == ["digits", "digits"]
    found = [Path(run.folder) for run in survey(tmp_path / "runs", 0.0).runs]
    assert sorted(found) == sorted(map(Path, folders))


def test_what_a_sweep_that_was_killed_left_of_hydras_is_removed(tmp_path: Path) -> None:
    theirs, left = tmp_path / ".sweeps" / "mine", tmp_path / ".sweeps" / "2030-01-01T00-00-00"
    for folder in (theirs, left):
        folder.mkdir(parents=True)
        (folder / "multirun.yaml").write_text("api_key: abcdef")
    create_sweep_folder([], checked_jobs("seed=1", f"paths.runs={tmp_path}"))
    assert list(tmp_path.rglob("multirun.yaml")) == [theirs / "multirun.yaml"]


def test_a_linked_folder_of_sweeps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / ".sweeps").symlink_to("home")
    with pytest.raises(ConfigError, match=r"\.sweeps: a link, through which nothing is read or written"):
        create_sweep_folder([], checked_jobs("seed=1", f"paths.runs={tmp_path}"))
    assert not list((tmp_path / "home").iterdir())


@pytest.mark.usefixtures("without_training")
def test_a_persons_own_multirun_file_is_not_written_over(
    small: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine").mkdir()
    Path("mine/multirun.yaml").write_text("my own")
    assert small("-m", "seed=0,1", "hydra.sweep.dir=mine") == 2
    assert "hydra.sweep.dir=mine holds a multirun.yaml, which Hydra would write over" in capsys.readouterr().err
    assert Path("mine/multirun.yaml").read_text() == "my own"
    assert not Path("runs").exists()
    Path("mine/multirun.yaml").unlink()
    assert small("-m", "seed=0,1", "hydra.sweep.dir=mine") == 0
    assert small("-m", "seed=0,1", "hydra.sweep.dir=mine") == 0


def test_nothing_secret_is_recorded(tmp_path: Path) -> None:
    [(job, config)] = checked_jobs("seed=1", f"paths.runs={tmp_path}")
    with_key = Job([*job.overrides, "logger.api_key=abcdef"], job.config)
    folder = create_sweep_folder(["logger.api_key=abcdef", "-m"], [(with_key, config)])
    text = (folder / "jobs.json").read_text()
    assert "abcdef" not in text
    assert text.count("logger.api_key=***") == 2


def test_jobs_that_a_sweeper_decides_on_later_are_not_recorded(tmp_path: Path) -> None:
    [(job, config)] = checked_jobs("seed=1", f"paths.runs={tmp_path}")
    folder = create_sweep_folder([], [(Job(job.overrides, job.config, typical=True), config)])
    assert folder.is_dir()
    assert not list(folder.iterdir())


def test_sweeps_that_begin_in_the_same_second_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001

    monkeypatch.setattr(folder_module, "datetime", Clock)
    names = [create_timed_folder(tmp_path / "runs" / ".sweeps").name for _ in range(3)]
    assert names == ["2026-01-02T03-04-05", "2026-01-02T03-04-05.2", "2026-01-02T03-04-05.3"]


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    jobs = checked_jobs("seed=1", f"paths.runs={tmp_path}")
    (tmp_path / ".sweeps").touch()
    with pytest.raises(ConfigError, match=f"^paths.runs={tmp_path}: .*: (File exists|Not a directory)$"):
        create_sweep_folder([], jobs)
