"""A run's folder before the run: what is skipped, continued, moved aside or emptied, and the line that says so."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.runs import provenance
from membrane.runs.contents import PRUNE
from membrane.runs.folder import RunFolder
from membrane.runs.preparation import finished_already, is_interrupted_rerun, prepare, refuse_to_move_working_folder
from membrane.runs.visibility import hidden_test_scores
from membrane.schema import Config

Begin = Callable[..., tuple[Config, RunFolder]]
NOW = {"code_digest": "0" * 64, "versions": {"torch": "2.0"}}


@pytest.fixture
def begin(plain: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Begin:
    """Return a function from settings that differ from the defaults to a configuration and its folder."""
    caplog.set_level(logging.INFO)

    def configure(**changes: Any) -> tuple[Config, RunFolder]:
        config = check({**plain, "paths": {"runs": str(tmp_path)}, **changes})
        return config, RunFolder(config)

    return configure


@pytest.fixture(autouse=True)
def unchanged_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "code_digest", lambda: NOW["code_digest"])
    monkeypatch.setattr(provenance, "library_versions", lambda: NOW["versions"])


def identity(folder: RunFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder.path / "provenance.json").read_text())
    return content


def write_checkpoint(folder: RunFolder) -> None:
    (folder.path / "checkpoints").mkdir(parents=True)
    (folder.path / "checkpoints" / "last.ckpt").touch()


def test_what_has_a_result_need_not_run_again(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin()
    assert not finished_already(config, folder)
    folder.write("result.json", {"metrics": {"test/acc": 0.98765}})
    folder.write("provenance.json", NOW)
    assert finished_already(config, folder)
    assert caplog.messages == [f"finished already: {folder.path} (test/acc 0.9877)"]
    assert not finished_already(*begin(rerun=True))
    assert len(caplog.messages) == 1


def test_what_changed_since_is_named(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin()
    folder.write("result.json", {"metrics": {}})
    folder.write("provenance.json", {"code_digest": "1" * 64, "versions": {"torch": "1.0"}})
    assert finished_already(config, folder)
    since = "code 111111111111 → 000000000000, torch 1.0 → 2.0: rerun=true runs it again"
    assert caplog.messages == [f"finished already: {folder.path}; since then {since}"]


def test_a_result_without_a_provenance_is_of_unknown_code(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin()
    folder.write("result.json", {"metrics": {}})
    assert finished_already(config, folder)
    assert "since then code None → 000000000000, torch None → 2.0" in caplog.text


def test_a_trial_of_a_search_prints_no_score_of_the_test_set(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin()
    folder.write("result.json", {"metrics": {"test/acc": 0.9}})
    folder.write("provenance.json", NOW)
    with hidden_test_scores():
        assert finished_already(config, folder)
    assert caplog.messages == [f"finished already: {folder.path}"]


def test_a_profile_of_a_finished_run_has_no_step_to_time(
    begin: Begin, plain: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    config, folder = begin(trainer={**plain["trainer"], "profile": True})
    folder.write("result.json", {"metrics": {}})
    assert finished_already(config, folder)
    assert caplog.messages[1].startswith("trainer.profile: there is no step to time; name=NAME ")


def test_a_first_run_has_a_folder_that_says_whose_it_is(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin(seed=3)
    prepare(config, folder)
    assert identity(folder) == {"fingerprint": folder.fingerprint, "seed": 3, "rerun": False}
    assert [path.name for path in folder.path.iterdir()] == ["provenance.json"]
    assert caplog.messages == []


def test_what_was_broken_off_before_a_checkpoint_starts_anew(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin()
    folder.write("metrics.csv", {})
    prepare(config, folder)
    assert [path.name for path in folder.path.iterdir()] == ["provenance.json"]
    assert caplog.messages == [f"{folder.path} was broken off before its first checkpoint; it starts anew"]


def test_the_persons_own_files_stay_in_a_run_that_starts_anew(begin: Begin, tmp_path: Path) -> None:
    config, folder = begin()
    prepare(config, folder)
    (folder.path / "my").mkdir()
    for name in ("notes.md", "my/plot.csv", "metrics.csv", "run.log"):
        (folder.path / name).write_text("content")
    (tmp_path / "link").symlink_to(folder.path)
    for paths in ({"runs": str(tmp_path)}, {"run": str(tmp_path / "link")}):
        prepare(*begin(paths=paths))
        left = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
        assert left == {"notes.md", "my/plot.csv", "provenance.json"}


def test_a_rerun_by_way_of_a_link_moves_the_real_folder(begin: Begin, tmp_path: Path) -> None:
    prepare(*begin())
    run = begin()[1].path
    (tmp_path / "link").symlink_to(run)
    config, folder = begin(rerun=True, paths={"run": str(tmp_path / "link")})
    folder.write("result.json", {"metrics": {}})
    prepare(config, folder)
    assert (run.with_name("seed0.1") / "result.json").exists()
    assert [path.name for path in run.iterdir()] == ["provenance.json"]
    assert (tmp_path / "link").resolve() == run


def test_a_rerun_does_not_move_the_folder_in_which_the_person_is(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    config, folder = begin(rerun=True, paths={"run": "."})
    refuse_to_move_working_folder(config, folder)
    prepare(*begin(paths={"run": "."}))
    folder.write("result.json", {"metrics": {}})
    (tmp_path / "mine" / "deep").mkdir()
    for here, there in ((".", "."), ("deep", "..")):
        monkeypatch.chdir(here)
        with pytest.raises(ConfigError, match="in which you are: start it from another folder"):
            refuse_to_move_working_folder(*begin(rerun=True, paths={"run": there}))
        refuse_to_move_working_folder(*begin(paths={"run": there}))


def test_what_has_a_checkpoint_is_continued_as_it_is(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin()
    write_checkpoint(folder)
    for _ in range(2):  # with and without a request to end, which an earlier process has left
        (folder.path / PRUNE).touch()
        prepare(config, folder)
        assert [path.name for path in folder.path.iterdir()] == ["checkpoints"]
    prepare(config, folder)
    assert caplog.messages == []


def test_a_debug_run_begins_anew_without_a_word(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    for rerun in (False, True):
        config, folder = begin(debug={"batches": 2}, rerun=rerun)
        write_checkpoint(folder)
        prepare(config, folder)
        assert [path.name for path in folder.path.iterdir()] == ["provenance.json"]
        assert [path.name for path in folder.path.parent.iterdir()] == ["seed0"]
    assert caplog.messages == []


def test_a_rerun_moves_the_earlier_run_aside_whole(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin(rerun=True)
    prepare(config, folder)
    assert caplog.messages == []
    folder.write("result.json", {"metrics": {}})
    prepare(config, folder)
    aside = folder.path.with_name("seed0.1")
    assert caplog.messages == [f"rerun: the earlier run is now {aside}"]
    assert (aside / "result.json").exists()
    assert identity(folder)["rerun"] is True
    assert not (folder.path / "result.json").exists()


def test_a_rerun_that_was_stopped_goes_on_where_it_was(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = begin(rerun=True)
    prepare(config, folder)
    write_checkpoint(folder)
    prepare(config, folder)
    assert folder.has_checkpoint()
    assert caplog.messages == []
    folder.write("FAILED.json", {})
    prepare(config, folder)
    assert caplog.messages == [f"rerun: the earlier run is now {folder.path}.1"]


def test_only_a_rerun_without_an_end_is_an_interrupted_one(begin: Begin) -> None:
    _, folder = begin()
    assert is_interrupted_rerun(folder) is False
    folder.write("provenance.json", {"rerun": False})
    assert is_interrupted_rerun(folder) is False
    folder.write("provenance.json", {"rerun": True})
    assert is_interrupted_rerun(folder) is True
    for end in ("result.json", "FAILED.json"):
        folder.write(end, {"metrics": {}})
        assert is_interrupted_rerun(folder) is False
        (folder.path / end).unlink()
    (folder.path / "provenance.json").write_text("damaged")
    assert is_interrupted_rerun(folder) is False
