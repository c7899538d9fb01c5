"""Whether something is there, also where one may not look."""

from pathlib import Path

import pytest

from membrane.files.presence import is_file, is_folder


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    names = ["file", "link", ".", "dangling", "nowhere", "file/below"]
    assert [is_file(tmp_path / name) for name in names] == [True, True, False, False, False, False]
    assert [is_folder(tmp_path / name) for name in names] == [False, False, True, False, False, False]


def test_what_may_not_be_looked_at_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("os.stat", refuse)
        here = (is_folder(tmp_path), is_file(tmp_path))
    assert here == (False, False)
