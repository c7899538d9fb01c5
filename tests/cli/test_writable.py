"""Folders that a command cannot write into are refused before it begins."""

from pathlib import Path

import pytest

from membrane.cli.bench import bench_command
from membrane.cli.reproduce import reproduce_command
from membrane.cli.writable import require_writable
from membrane.errors import ConfigError


def test_a_folder_that_can_be_created_is_taken_and_not_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_writable("--out", tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    require_writable("--out", Path("a/b"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", ["file", "file/below"])
def test_a_file_and_a_folder_without_rights_are_named(
    names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"^--out: {tmp_path}/file is not a folder$"):
        require_writable("--out", tmp_path / names)
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who may do anything
    with pytest.raises(ConfigError, match=f"^--out: nothing can be written in {tmp_path}; name another folder$"):
        require_writable("--out", tmp_path / "new" / "folder")


def test_commands_that_take_long_ask_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("membrane.cli.bench.run_session", lambda _: pytest.fail("it measured"))
    with pytest.raises(ConfigError, match=f"^--out {tmp_path}/file: "):
        bench_command(["W4", "--peers", "relu", "--device", "cpu", "--out", str(tmp_path / "file")])
    monkeypatch.setattr("membrane.cli.reproduce.train_row", lambda _: pytest.fail("it trained"))
    with pytest.raises(ConfigError, match=f"^--records {tmp_path}/file: "):
        reproduce_command(["seq_fmnist/plain", "--record", "--records", str(tmp_path / "file")])
