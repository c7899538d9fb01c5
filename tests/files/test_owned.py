"""Folders from which code is loaded are the person's alone, and so is every way to put others in their place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from membrane.files import owned
from membrane.files.owned import own_folder, own_temporary_folder, read_own


def test_folders_are_made_for_the_person_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = own_folder(tmp_path, "membrane", "kernels")
    finally:
        os.umask(before)
    assert folder == tmp_path.resolve() / "membrane" / "kernels"
    assert [each.stat().st_mode & 0o777 for each in (folder, folder.parent)] == [0o700, 0o700]
    assert own_folder(tmp_path, "membrane", "kernels") == folder


def test_the_base_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to(tmp_path / "scratch")
    assert own_folder(tmp_path / "cache", "membrane") == tmp_path.resolve() / "scratch" / "membrane"


def link_inner(base: Path) -> None:
    (base / "elsewhere").mkdir(mode=0o700)
    (base / "membrane").symlink_to(base / "elsewhere")


def link_file(base: Path) -> None:
    (base / "membrane").symlink_to(base / "nothing")


def make(*modes: int) -> Callable[[Path], None]:
    """A preparation that gives base and base/membrane, as far as they are named, these permissions."""

    def prepare(base: Path) -> None:
        for folder, mode in zip((base, base / "membrane"), modes, strict=False):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)

    return prepare


@pytest.mark.parametrize(
    ("prepare", "line"),
    [
        (link_inner, "membrane is a link, or no folder"),
        (link_file, "File exists"),
        (make(0o777), "others may write into .*base: chmod go-w helps"),
        (make(0o700, 0o777), "others may write into .*membrane"),
        (make(0o700, 0o1777), "membrane is not yours alone"),
        (make(0o1777, 0o702), "others may write into .*membrane"),
    ],
)
def test_a_folder_that_others_may_change_is_refused(tmp_path: Path, prepare: Callable[[Path], None], line: str) -> None:
    base = tmp_path / "base"
    base.mkdir(mode=0o700)
    prepare(base)
    with pytest.raises(OSError, match=line):
        own_folder(base, "membrane")


def test_what_lies_in_a_folder_that_all_may_write_as_tmp_is_safe_if_it_is_ones_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert own_folder(tmp_path, "membrane").is_dir()


def test_a_group_may_write_if_it_is_the_persons_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o770)
    monkeypatch.setattr(owned, "is_own_group", lambda number: True)
    own_folder(tmp_path, "membrane")
    monkeypatch.setattr(owned, "is_own_group", lambda number: False)
    with pytest.raises(OSError, match="others may write into"):
        own_folder(tmp_path, "membrane")


def test_what_another_user_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"code")
    monkeypatch.setattr(os, "geteuid", lambda: 4_242_424)  # now all that is here is somebody else's
    (tmp_path / "membrane").mkdir(mode=0o700)
    with pytest.raises(OSError, match=r"belongs to another user|is not yours alone"):
        own_folder(tmp_path, "membrane")
    with pytest.raises(OSError, match="is not a file of yours alone"):
        read_own(tmp_path / "file", 10)


def test_only_plain_files_of_ones_own_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert read_own(file, 7) == b"content"
    with pytest.raises(OSError, match="has 7 bytes, 6 at most"):
        read_own(file, 6)
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "fifo", "missing"):
        with pytest.raises(OSError, match=name):
            read_own(tmp_path / name, 7)
    file.chmod(0o602)
    with pytest.raises(OSError, match="is not a file of yours alone"):
        read_own(file, 7)


def test_a_temporary_folder_lies_where_nobody_can_put_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with own_temporary_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    tmp_path.chmod(0o777)
    with pytest.raises(OSError, match="others may write into"), own_temporary_folder():
        pass
