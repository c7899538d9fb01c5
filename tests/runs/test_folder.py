"""The run folder: where it lies, the lock that guards it, what may be put into it."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.config.check import check
from membrane.errors import ConfigError, DataError
from membrane.files.durable import write_json
from membrane.files.lock import Occupied
from membrane.runs.fingerprint import fingerprint
from membrane.runs.folder import RunFolder, checkpoint_of

HOLDER = """
import json, sys
from membrane.config.check import check
from membrane.runs.folder import RunFolder, checkpoint_of
with RunFolder(check(json.loads(sys.stdin.readline()))).locked():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def raw(plain: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {**copy.deepcopy(plain), "paths": {"runs": str(tmp_path / "runs")}}


def held_by_another(raw: dict[str, Any]) -> subprocess.Popen[str]:
    """Start and return a process that holds the run's folder until it is told to end, or killed."""
    other = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write(json.dumps(raw) + "\n")
    other.stdin.flush()
    assert other.stdout.readline() == "held\n"
    return other


def test_where_a_run_lies(raw: dict[str, Any], tmp_path: Path) -> None:
    config = check({**raw, "seed": 3, "name": "mine"})
    assert RunFolder(config).path == tmp_path / "runs" / "mine" / fingerprint(config) / "seed3"
    debug = check({**raw, "debug": {"batches": 2}})
    assert RunFolder(debug).path == tmp_path / "runs" / ".debug" / "digits" / fingerprint(debug) / "seed0"
    RunFolder(debug).write("result.json", {})
    assert RunFolder(debug).result() is None
    assert not (tmp_path / "runs" / "mine").exists()


def test_one_process_at_a_time_and_a_dead_one_lets_go(raw: dict[str, Any]) -> None:
    folder = RunFolder(check(raw))
    other = held_by_another(raw)
    try:
        with pytest.raises(Occupied, match=f"{folder.path} is being run by process {other.pid} on "), folder.locked():
            pytest.fail("two hold it")
        with RunFolder(check({**raw, "seed": 1})).locked():  # another seed is another folder
            pass
    finally:
        other.kill()
        other.communicate()
    with folder.locked():
        lock = folder.path.parent / ".seed0.lock"
        assert lock.read_text().startswith(f"process {os.getpid()} on ")
    with folder.locked():
        pass


def test_a_folder_has_one_holder_however_it_is_named(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("real", "x"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "runs").symlink_to("x")
    outright = [str(tmp_path / name) for name in ("real", "link", "real/", "x/../link", "nowhere/../real")]
    other = held_by_another({**raw, "paths": {"run": outright[0]}})
    by_default = held_by_another(raw)
    try:
        monkeypatch.chdir(tmp_path / "link")
        for name in (*outright, ".", "../real", "../link"):
            folder = RunFolder(check({**raw, "paths": {"run": name}}))
            assert folder.path == tmp_path / "real"
            with pytest.raises(Occupied, match=f"process {other.pid} on "), folder.locked():
                pytest.fail(f"two hold it: {name}")
        for runs in ("runs", "x"):
            folder = RunFolder(check({**raw, "paths": {"runs": str(tmp_path / runs)}}))
            with pytest.raises(Occupied, match=f"process {by_default.pid} on "), folder.locked():
                pytest.fail(f"two hold it: {runs}")
    finally:
        for process in (other, by_default):
            process.communicate("\n")


def test_a_folder_reached_by_a_link_holds_this_run_or_nothing(raw: dict[str, Any], tmp_path: Path) -> None:
    run = RunFolder(check(raw)).path
    run.parent.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    run.symlink_to(tmp_path / "home")
    assert RunFolder(check(raw)).path == tmp_path / "home"
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"home holds something else than a run"):
        RunFolder(check(raw))
    write_json(tmp_path / "home" / "provenance.json", {"fingerprint": fingerprint(check(raw)), "seed": 0})
    assert RunFolder(check(raw)).path == tmp_path / "home"


def test_a_run_whose_entries_are_links_is_refused(raw: dict[str, Any], tmp_path: Path) -> None:
    folder = RunFolder(check(raw))
    folder.write("result.json", {"metrics": {}})
    (folder.path / "run.log").symlink_to(tmp_path / "victim")
    for refused in (lambda: RunFolder(check(raw)), lambda: checkpoint_of(folder.path)):
        with pytest.raises(DataError, match=r"run\.log: a link, through which nothing is read or written"):
            refused()


def test_a_checkpoint_that_is_named_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").touch()
    (tmp_path / "mine.ckpt").symlink_to("model.ckpt")
    assert checkpoint_of(tmp_path / "mine.ckpt") == tmp_path / "model.ckpt"


def test_a_folder_that_is_held_is_not_run(
    small: Callable[..., int], raw: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {
        **raw,
        "model": {"_target_": "membrane.models.smlp.SMLP", "units": [16]},
        "epochs": 1,
        "timesteps": 2,
        "threads": 1,
    }
    other = held_by_another({**held, "logger": None})
    try:
        assert small() == 1
        assert f"is being run by process {other.pid}" in capsys.readouterr().out
        assert not list(tmp_path.glob("runs/digits/*/seed0/*"))
    finally:
        other.communicate("\n")


def test_a_folder_named_outright(raw: dict[str, Any], tmp_path: Path) -> None:
    named = tmp_path / "mine"
    config = check({**raw, "paths": {"run": str(named)}})
    assert RunFolder(config).path == named
    named.mkdir()
    assert RunFolder(config).path == named
    write_json(named / "provenance.json", {"fingerprint": fingerprint(config), "seed": 0})
    assert RunFolder(config).path == named
    with pytest.raises(ConfigError, match=f"holds run {fingerprint(config)} seed 0, this one is .* seed 1$"):
        RunFolder(check({**raw, "paths": {"run": str(named)}, "seed": 1}))
    with pytest.raises(
        ConfigError, match=f"holds run {fingerprint(config)} seed 0, this one is (?!{fingerprint(config)})"
    ):
        RunFolder(check({**raw, "paths": {"run": str(named)}, "epochs": 7}))
    (named / "provenance.json").unlink()
    (named / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds something else than a run; name an empty or a new folder"):
        RunFolder(config)
    with pytest.raises(ConfigError, match="is not a folder"):
        RunFolder(check({**raw, "paths": {"run": str(named / "thesis.tex")}}))


def test_an_empty_folder_named_outright_is_run_in_and_another_run_refused_there(
    small: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    assert small("paths.run=mine") == 0
    assert (tmp_path / "mine" / "result.json").is_file()
    assert not (tmp_path / "runs").exists()
    capsys.readouterr()
    assert small("paths.run=mine", "seed=1") == 2
    assert "holds run" in capsys.readouterr().err


def test_earlier_runs_are_moved_aside_and_numbered(raw: dict[str, Any]) -> None:
    folder = RunFolder(check(raw))
    for n in range(1, 12):
        folder.write("result.json", {"n": n})
        assert folder.move_aside().name == f"seed0.{n}"
        assert not folder.path.exists()
        assert folder.count_reruns() == n
    assert json.loads((folder.path.parent / "seed0.3" / "result.json").read_text()) == {"n": 3}
    (folder.path.parent / "seed0.txt").touch()
    (folder.path.parent / "seed01.40").mkdir()
    assert folder.count_reruns() == 11
    odd = RunFolder(check({**raw, "paths": {"run": str(folder.path.parent / "run[1]")}}))
    for n in (1, 2):
        odd.write("result.json", {})
        assert odd.move_aside().name == f"run[1].{n}"


def test_what_an_unfinished_run_left_is_removed(raw: dict[str, Any]) -> None:
    folder = RunFolder(check(raw))
    assert not folder.clear()
    folder.write("checkpoints/last.ckpt.sha256", {})
    assert folder.clear()
    assert not folder.path.exists()


def test_what_a_run_was_writing_when_it_died_is_no_other_content(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["paths"]["run"] = str(tmp_path / "mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".provenance.json.tmp").touch()
    assert RunFolder(check(raw)).has_checkpoint() is False
    (tmp_path / "mine" / ".notes.tmp").touch()
    with pytest.raises(ConfigError, match="holds something else than a run"):
        RunFolder(check(raw))


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000])
def test_a_name_that_no_file_can_have_holds_no_checkpoint(name: str) -> None:
    with pytest.raises(DataError) as refusal:
        checkpoint_of(name)
    assert "\n" not in str(refusal.value)
