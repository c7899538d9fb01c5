"""Files that are whole or not there."""

import json
import os
from pathlib import Path

import pytest

from membrane.files import durable


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "result.json"
    durable.write_json(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}
    with pytest.raises(TypeError):
        durable.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}

    def full(descriptor: int) -> None:
        assert json.loads(path.read_text()) == {"a": 1}, "replaced before it was on the disk"
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        durable.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["result.json"], "what failed takes up room"


def test_file_and_folder_are_on_the_disk_before_the_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    durable.write_whole(tmp_path / "a", lambda file: file.write(b"content"))
    file, folder = flushed
    assert folder == tmp_path
    assert file.parent == tmp_path
    assert durable.TEMPORARY.fullmatch(file.name)
